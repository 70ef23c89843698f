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

  @Flag(help: "Use the scheme for every tensor that may be quantized, without a preset's mix.")
  var pure = false

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of IN. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of OUT. (default: by extension)", valueName: "FORMAT"))
  var to: String?

  @Flag(help: "Replace an existing output.")
  var force = false

  @Option(parsing: .singleValue, help: ArgumentHelp("Calibration text; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  @Option(help: ArgumentHelp("Windows of calibration text.", valueName: "N"))
  var samples = 128

  @Option(help: ArgumentHelp("Tokens per window.", valueName: "N"))
  var context = 512

  @Option(help: ArgumentHelp("0: windows spread evenly; else chosen at random with this seed.", valueName: "N"))
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("Begin windows with BOS; auto: as the tokenizer's rule says.", valueName: "WHEN"))
  var bos = BOSChoice.auto

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
    request.tensorRules = tensor
    request.calibration.files = calibration
    request.calibration.samples = try WholeNumber.check(samples, "--samples", in: 1...1_000_000)
    request.calibration.context = try WholeNumber.check(context, "--context", in: 2...1_048_576)
    request.calibration.seed = seed
    request.calibration.bos = bos.value
    request.calibration.precision = products.value
    request.propagation = propagate.value
    request.isTrueSequential = trueSequential
    request.configPath = config
    request.tokenizerPath = tokenizer
    request.preTokenizer = pre
    request.force = force
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
