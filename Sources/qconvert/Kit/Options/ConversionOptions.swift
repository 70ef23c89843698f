import ArgumentParser
import QuantCore

/// What `convert` and `plan` take.
struct ConversionOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("Checkpoint to read: a file or a folder.", valueName: "IN"))
  var input: String

  @Argument(help: ArgumentHelp("File or folder to write.", valueName: "OUT"))
  var output: String

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Method, with options; repeatable, applied in order.", valueName: "NAME[:k=v,...]"))
  var plugin: [String] = []

  @Option(help: ArgumentHelp("Scheme or preset. (default: the format's own)", valueName: "NAME"))
  var scheme: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Scheme of some tensors: glob or re:REGEX; repeatable, the last match wins.", valueName: "PATTERN=SCHEME"))
  var tensor: [String] = []

  @Option(help: ArgumentHelp("How inputs of quantized layers are rounded, or none. (default: the preset's)", valueName: "NAME"))
  var activations: String?

  @Option(help: ArgumentHelp("Type of cached keys and values, with stored scales: fp8.", valueName: "TYPE"))
  var kvCache: String?

  @Option(
    help: ArgumentHelp(
      "Range of stored activation scales: minmax, percentile[:P], entropy, mse. (default: mse for integers, minmax for fp8)",
      valueName: "NAME"))
  var calibrator: String?

  @Flag(help: "Use the scheme for every tensor that may be quantized, without a preset's mix.")
  var pure = false

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of IN. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of OUT. (default: by extension)", valueName: "FORMAT"))
  var to: String?

  @Flag(help: "Replace an existing output.")
  var force = false

  @Flag(help: "Continue a run that did not finish; keep what is done where this one does not.")
  var resume = false

  @OptionGroup var text: CalibrationOptions

  @Option(help: ArgumentHelp("Statistics that calibrate collected, instead of running the model.", valueName: "FILE"))
  var stats: String?

  @Option(help: ArgumentHelp("Importance matrix that weighs errors: of llama-imatrix or calibrate.", valueName: "FILE"))
  var importance: String?

  @Option(help: ArgumentHelp("Activations that methods observe: auto, original or quantized.", valueName: "STREAM"))
  var propagate = StreamChoice.auto

  @Option(help: ArgumentHelp("Products on calibration text: f32, or bf16 where the processor has them.", valueName: "TYPE"))
  var products = ProductsChoice.f32

  @Flag(help: "Observe later layers of a block behind its rounded earlier ones.")
  var trueSequential = false

  @Option(help: ArgumentHelp("A config.json instead of the one beside IN.", valueName: "FILE"))
  var config: String?

  @Option(help: ArgumentHelp("Tokenizer file or folder instead of IN's own.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name of the pre-tokenizer, where it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Flag(help: "Keep NaN and infinity instead of refusing them.")
  var allowNonfinite = false

  @Flag(help: "Quantize weights that are quantized already; quality is lost twice.")
  var allowRequantize = false

  @Option(help: ArgumentHelp("Largest file of a split output: 5GB, 512MiB.", valueName: "SIZE"))
  var shardSize: String?

  /// Everything that was typed, checked for form.
  /// - Throws: `Failure` of kind usage.
  func request(threads: Int) throws(Failure) -> ConversionRequest {
    var request = ConversionRequest(input: input, output: output)
    request.fromFormat = from
    request.toFormat = to
    for text in plugin {
      let argument = try PluginArgument(text)
      request.methods.append((id: argument.id, options: argument.options))
    }
    request.scheme = scheme
    request.isPure = pure
    request.activations = activations
    request.keyValueCache = kvCache
    if let calibrator {
      guard let found = RangeCalibrator(named: calibrator) else {
        throw Registry.unknown("calibrator", "calibrator.unknown", calibrator, among: RangeCalibrator.names)
      }
      request.calibrator = found
    }
    request.tensorRules = tensor
    request.calibration = try text.request()
    if stats != nil, request.calibration != CalibrationRequest() {
      throw Failure(
        .usage, "usage.stats-and-text", "--stats says which text was observed, and options of --calibration were given",
        remedy: "Give one or the other.")
    }
    request.calibration.precision = products.value
    request.statisticsPath = stats
    request.importancePath = importance
    request.propagation = propagate.value
    request.isTrueSequential = trueSequential
    request.configPath = config
    request.tokenizerPath = tokenizer
    request.preTokenizer = pre
    request.force = force
    request.resumes = resume
    request.allowNonfinite = allowNonfinite
    request.allowRequantize = allowRequantize
    if let shardSize { request.shardSize = try ByteSize.parse(shardSize, option: "--shard-size") }
    request.threads = threads
    return request
  }
}

/// How products on calibration text are rounded.
enum ProductsChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case f32, bf16

  var value: ProductPrecision { self == .bf16 ? .bf16 : .f32 }
}

/// Which activations methods observe.
enum StreamChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, original, quantized

  /// nil: as the methods ask.
  var value: Propagation? { Propagation(rawValue: rawValue) }
}
