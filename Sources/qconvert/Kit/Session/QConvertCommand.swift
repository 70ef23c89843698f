import ArgumentParser
import QuantCore

/// A command with the options that all commands share.
protocol QConvertCommand: ParsableCommand {
  var global: GlobalOptions { get }
  /// - Throws: `Failure`; any other error is reported as a bug.
  func run(_ registry: Registry, _ session: Session) throws
}
