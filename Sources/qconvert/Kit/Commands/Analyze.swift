import ArgumentParser
import Logging
import QuantCore

/// `qconvert analyze MODEL`: measures what every type costs every tensor, for any number of sizes.
struct Analyze: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "analyze",
    abstract: "Measure what each type costs each tensor, for --target-size.",
    discussion: """
      Rounding errors are weighed under the Gram matrix of each layer's inputs, and by the effect that noise of known size has on the \
      model's predictions. One analysis serves every size of one kind of output.

      EXAMPLES
        qconvert analyze model/ -o model.analysis.json --calibration text.txt
        qconvert model/ model.gguf --analysis model.analysis.json --target-size 4.1GB
        qconvert analyze model/ -o mlx.analysis.json --to huggingface --packing mlx --calibration text.txt
      """)

  @Argument(help: ArgumentHelp("Checkpoint to measure: a file or a folder.", valueName: "MODEL"))
  var input: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Write the analysis to FILE.", valueName: "FILE"))
  var output: String

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Round by this method, as the conversion will; repeatable.", valueName: "NAME[:k=v,...]"))
  var plugin: [String] = []

  @Option(help: ArgumentHelp("Try the types of this format. (default: gguf)", valueName: "FORMAT"))
  var to = "gguf"

  @Option(help: ArgumentHelp("Try the types of this packing.", valueName: "NAME"))
  var packing: String?

  @Option(name: .customLong("for"), help: ArgumentHelp("Try the types that this client loads.", valueName: "CLIENT[@VERSION]"))
  var client: String?

  @Option(help: ArgumentHelp("Try these schemes only.", valueName: "NAME,NAME,..."))
  var prefer: String?

  @OptionGroup var calibration: CalibrationOptions

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Measure divergence on this text; repeatable. (default: the calibration text)", valueName: "FILE"))
  var text: [String] = []

  @Option(help: ArgumentHelp("Measure divergence on N windows of it. (default: 16; a quarter of few --samples)", valueName: "N"))
  var windows: Int?

  @OptionGroup var source: SourceOptions

  @Flag(help: "Replace an existing FILE.")
  var force = false

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let request = try request()
    var other: CalibrationRequest?
    if !text.isEmpty || windows != nil {
      var wanted = request.calibration
      if !text.isEmpty { wanted.files = text } else { wanted.seed &+= 1 }
      wanted.samples = try WholeNumber.check(windows ?? 16, "--windows", in: 1...1_000_000)
      other = wanted
    }
    let progress = session.progress()
    defer { progress.finish() }
    let report = try Planner(registry).analyze(request, text: other, progress: progress)
    progress.finish()
    for warning in report.warnings { session.log.warning("\(warning)") }
    let bytes = Array((report.analysis.json.text(pretty: true) + "\n").utf8)
    let layout = OutputLayout(isFolder: false, files: [.init(name: "", size: bytes.count, literals: [(0, bytes)])], placements: [])
    try OutputTransaction(layout: layout, target: output, force: force, inputs: report.source.files).commit()
    try session.answer(
      .object([
        .init("ok", .bool(true)), .init("output", .string(output)), .init("tensors", .int(report.analysis.tensors.count)),
        .init("front", JSONOutput.front(report.front)),
      ]), text: SizeTables.text(report, style: session.outputStyle))
    session.log.notice("wrote \(output): \(report.analysis.tensors.count) tensors")
  }

  private func request() throws -> ConversionRequest {
    var request = ConversionRequest(input: input, output: output)
    request.calibration = try calibration.request()
    request.methods = try ValueForm<[(id: String, options: [String: String])]>.methods.read(
      Entry(.list(plugin.map { Entry(.text($0), subject: "--plugin") }), subject: "--plugin"))
    request.toFormat = to
    request.packing = packing
    request.client = client
    request.size.preferred = prefer.map { SizeTables.names($0) } ?? []
    source.apply(to: &request)
    request.force = force
    request.threads = try global.threadCount()
    return request
  }
}
