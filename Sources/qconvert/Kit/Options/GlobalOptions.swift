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

  /// - Throws: `ValidationError` for options of which one says the opposite of the other.
  func validate() throws {
    if quiet, verbose { throw ValidationError("--quiet and --verbose exclude each other") }
    if quiet, progress == .plain { throw ValidationError("--quiet and --progress plain exclude each other") }
  }

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
