import ArgumentParser
import QuantCore
import QuantPlatform

/// Options that every command takes.
struct GlobalOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output, also for errors.")
  var json = false

  @Flag(name: .shortAndLong, help: "Print errors only.")
  var quiet = false

  @Flag(name: .shortAndLong, help: "Print details of what is done.")
  var verbose = false

  @Option(
    name: [.customShort("j"), .long],
    help: ArgumentHelp("Threads. Results do not depend on it. (default: one per core)", valueName: "N"))
  var threads: Int?

  @Option(help: ArgumentHelp("Colour on terminals; auto honours NO_COLOR.", valueName: "WHEN"))
  var color = ColorChoice.auto

  @Option(help: ArgumentHelp("Progress; auto redraws a line on terminals and is plain elsewhere.", valueName: "STYLE"))
  var progress = ProgressStyle.auto

  /// The number of threads to use.
  /// - Throws: `Failure` of kind usage for a number out of range.
  func threadCount() throws(Failure) -> Int {
    guard let threads else { return GlobalOptions.availableCores() }
    return try WholeNumber.check(threads, "--threads", in: 1...1024)
  }

  /// Cores that this process may run on.
  private static func availableCores() -> Int {
    max(1, min(1024, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
  }
}

/// When to colour.
enum ColorChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, always, never
}

/// How progress is shown.
enum ProgressStyle: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, plain, none
}

/// Whether windows of text begin with the BOS token.
enum BOSChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, on, off

  /// nil: as the tokenizer's own rule says.
  var value: Bool? {
    switch self {
    case .auto: nil
    case .on: true
    case .off: false
    }
  }
}

/// Limits of options that are whole numbers.
enum WholeNumber {
  /// `value`, where it lies in the range.
  /// - Throws: `Failure` of kind usage that names the option.
  static func check(_ value: Int, _ option: String, in range: ClosedRange<Int>) throws(Failure) -> Int {
    guard range.contains(value) else {
      throw Failure(
        .usage, "usage.range", "\(option) is \(value)", remedy: "Give a whole number from \(range.lowerBound) to \(range.upperBound).")
    }
    return value
  }
}
