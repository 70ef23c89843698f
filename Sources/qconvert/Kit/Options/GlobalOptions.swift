import ArgumentParser
import QuantCore
import QuantPlatform

/// Options that all commands share.
struct GlobalOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output, for errors too.")
  var json = false

  @Flag(name: .shortAndLong, help: "Print errors only.")
  var quiet = false

  @Flag(name: .shortAndLong, help: "Print details of the run.")
  var verbose = false

  @Option(
    name: [.customShort("j"), .long],
    help: ArgumentHelp("Use N threads; results do not depend on N. (default: one per core)", valueName: "N"))
  var threads: Int?

  @Option(help: ArgumentHelp("Colour the output; auto: on terminals, unless NO_COLOR is set.", valueName: "WHEN"))
  var color = ColorChoice.auto

  @Option(help: ArgumentHelp("Show progress; auto: one redrawn line on terminals, plain lines elsewhere.", valueName: "STYLE"))
  var progress = ProgressStyle.auto

  /// - Throws: `ValidationError` for options that contradict each other.
  func validate() throws {
    if quiet, verbose { throw ValidationError("--quiet and --verbose cannot be combined") }
    if quiet, progress == .plain { throw ValidationError("--quiet and --progress plain cannot be combined") }
  }

  /// The number of threads to use.
  /// - Throws: `Failure` of kind usage for a number out of range.
  func threadCount() throws(Failure) -> Int {
    let wanted = try threads.map { number throws(Failure) in try WholeNumber.check(number, "--threads", in: 1...1024) }
    // Results do not depend on the number: with fewer threads than were asked for, a run only takes longer.
    return Platform.startableThreads(upTo: wanted ?? GlobalOptions.availableCores())
  }

  /// Cores that this process may run on.
  private static func availableCores() -> Int {
    max(1, min(1024, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
  }
}
