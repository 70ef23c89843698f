import ArgumentParser
import Logging
import QuantCore

/// `qconvert calibrate MODEL OUT`: runs a model on text once, for any number of conversions.
struct Calibrate: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract: "Run a model on text and store statistics of its layers' inputs.",
    discussion: """
      If its name ends in .gguf or .dat, OUT is an importance file for --importance and llama-quantize; \
      otherwise it is a statistics file for --stats.

      EXAMPLES
        qconvert calibrate model/ model.imatrix.gguf --calibration text.txt
        qconvert calibrate model/ model.stats --for awq --calibration text.txt
        qconvert model/ model.gguf -p awq --stats model.stats
      """)

  @Argument(help: ArgumentHelp("Checkpoint to run: a file or a folder.", valueName: "MODEL"))
  var input: String

  @Argument(help: ArgumentHelp("File to write.", valueName: "OUT"))
  var output: String

  @Option(
    name: .customLong("for"), parsing: .singleValue,
    help: ArgumentHelp("Collect the statistics of this method; repeatable. (default: all methods)", valueName: "METHOD"))
  var methods: [String] = []

  @OptionGroup var text: CalibrationOptions

  @OptionGroup var source: SourceOptions

  @Flag(help: "Replace an existing output.")
  var force = false

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    var request = ConversionRequest(input: input, output: output)
    request.calibration = try text.request()
    request.methods = try registry.completed(methods.map { (id: $0, options: [:]) })
    source.apply(to: &request)
    request.force = force
    request.threads = try global.threadCount()
    var warnings: [String] = []
    let run = try StatisticsRun(request, registry: registry, warnings: &warnings)
    for warning in warnings { session.log.warning("\(warning)") }
    let progress = session.progress()
    defer { progress.finish() }
    let report = try run.run(progress: progress)
    progress.finish()
    let kinds = Statistic.allCases.filter { report.kinds.contains($0) }.map { $0.rawValue }
    let windows = report.calibration.windowCount, context = report.calibration.context
    session.log.notice(
      "wrote \(output): \(ByteSize.format(report.size)), \(kinds.joined(separator: ", ")) from \(windows) windows of \(context) tokens")
    guard session.isJSON else { return }
    let document = JSON.object([
      .init("ok", .bool(true)), .init("output", .string(output)), .init("bytes", .int(report.size)), .init("windows", .int(windows)),
      .init("context", .int(context)), .init("statistics", JSONOutput.strings(kinds)),
    ])
    try session.answer(document, text: "")
  }
}
