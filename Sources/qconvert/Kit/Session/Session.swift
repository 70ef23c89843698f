import Logging
import QuantCore

/// What one run of the program shares: streams, the log, and the form of the answer.
struct Session: Sendable {
  let console: Console
  /// Whether standard output gets one JSON document.
  let isJSON: Bool
  /// Style of standard output and of standard error.
  let outputStyle: Style
  let errorStyle: Style
  let log: Logger
  private let progressStyle: ProgressStyle
  private let isQuiet: Bool

  /// - Parameter options: nil if the command line could not be parsed.
  init(console: Console, options: GlobalOptions?, isJSON: Bool) {
    self.console = console
    self.isJSON = isJSON
    let facts = console.facts
    let color = options?.color ?? .auto
    outputStyle = Style(color, isTerminal: facts.outputIsTerminal, noColor: facts.noColor)
    errorStyle = Style(color, isTerminal: facts.errorIsTerminal, noColor: facts.noColor)
    progressStyle = options?.progress ?? .auto
    isQuiet = options?.quiet ?? false
    let level: Logger.Level = isQuiet ? .error : options?.verbose ?? false ? .debug : .notice
    let handler = TerminalLog(console: console, style: errorStyle, level: level)
    log = Logger(label: "qconvert") { _ in handler }
  }

  /// A progress reporter for a long command.
  func progress() -> Progress {
    let mode: Progress.Mode =
      switch progressStyle {
      case .auto: isQuiet ? .none : console.facts.errorIsTerminal ? .redrawn : .plain
      case .plain: isQuiet ? .none : .plain
      case .none: .none
      }
    return Progress(mode, console: console, log: log)
  }

  /// Warns of what a user must know of a checkpoint.
  func warn(about checkpoint: Checkpoint) {
    for caution in checkpoint.cautions { log.warning("\(caution)") }
  }

  /// Until `InterruptCleanup.reportInterrupts(nil)`, a conversion that is interrupted says what is left of it.
  func reportsInterrupt(of plan: ConversionPlan) {
    let line = Wording.interrupted(plan)
    InterruptCleanup.reportInterrupts { [console] in
      console.status("")
      console.line(line)
    }
  }

  /// Prints the document with `--json`, else the text.
  func answer(_ document: @autoclosure () -> JSON, text: @autoclosure () -> String) throws {
    try console.data(isJSON ? JSONOutput.text(document()) : text())
  }

  /// Prints a failure: a line on standard error, or a document on standard output.
  /// - Parameter document: what is printed as JSON instead of the failure alone.
  /// - Returns: the exit code.
  func report(_ failure: Failure, document: JSON? = nil) -> Int32 {
    console.status("")
    if isJSON {
      // If standard output is gone too, only the exit code is left.
      try? console.data(JSONOutput.text(document ?? JSONOutput.document([], failure)))
    } else {
      console.line(Wording.line(failure, style: errorStyle))
    }
    return failure.kind.rawValue
  }
}
