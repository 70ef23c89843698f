import ArgumentParser
import QuantCore

/// How weights and inputs of layers are stored. Properties are nil or empty if nothing was typed.
struct RoundingOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Apply a method, with options; repeatable, applied in order.", valueName: "NAME[:k=v,...]"))
  var plugin: [String] = []

  @Option(
    help: ArgumentHelp(
      "Choose methods: fast rounds to nearest; good and best need text and time. (default: fast)", valueName: "LEVEL"))
  var quality: QualityChoice?

  @Option(help: ArgumentHelp("Quantize to this scheme or preset. (default: the format's own)", valueName: "NAME"))
  var scheme: String?

  @Flag(inversion: .prefixedNo, help: "Use one scheme for all tensors that can be quantized, without a preset's mix.")
  var pure: Bool?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Set a scheme by tensor name, glob or re:REGEX; repeatable, last match wins.", valueName: "PATTERN=SCHEME"))
  var tensor: [String] = []

  @Option(parsing: .singleValue, help: ArgumentHelp("Keep these tensors as they are stored; repeatable.", valueName: "PATTERN"))
  var keep: [String] = []

  @Option(
    name: [.customLong("output-scheme"), .customLong("output-tensor-type")],
    help: ArgumentHelp("Set the scheme of the output matrix; 'keep' leaves it as it is stored.", valueName: "NAME"))
  var outputScheme: String?

  @Flag(help: "Keep the output matrix as it is stored: --output-scheme keep.")
  var leaveOutputTensor = false

  @Option(
    name: [.customLong("embedding-scheme"), .customLong("token-embedding-type")],
    help: ArgumentHelp("Set the scheme of the embedding; 'keep' leaves it as it is stored.", valueName: "NAME"))
  var embeddingScheme: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Set a scheme as in llama-quantize: lower-case regex, first match; repeatable.",
      valueName: "REGEX=SCHEME"))
  var tensorType: [String] = []

  @Option(help: ArgumentHelp("Read more --tensor-type rules from FILE, separated by white space.", valueName: "FILE"))
  var tensorTypeFile: String?

  @Option(help: ArgumentHelp("Set the activation scheme of quantized layers, or none. (default: the preset's)", valueName: "NAME"))
  var activations: String?

  @Option(help: ArgumentHelp("Store scales for a cache of keys and values: fp8, int8-tensor, int4-tensor.", valueName: "TYPE"))
  var kvCache: String?

  @Option(
    help: ArgumentHelp(
      "Find ranges by minmax, average[:M], percentile[:P], entropy, mse. (default: mse; fp8: minmax)",
      valueName: "NAME"))
  var calibrator: String?

  @Option(
    help: ArgumentHelp("Search GGUF parameters; standard gives llama.cpp's bytes. (default: standard)", valueName: "NAME"))
  var search: SearchChoice?

  @Option(
    name: [.customLong("importance"), .customLong("imatrix")],
    help: ArgumentHelp("Weigh errors by this importance file of calibrate or llama-imatrix.", valueName: "FILE"))
  var importance: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Use importance only for tensors with this in their names; repeatable.", valueName: "NAME"))
  var includeWeights: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Use no importance for tensors with this in their names; repeatable.", valueName: "NAME"))
  var excludeWeights: [String] = []

  @Flag(inversion: .prefixedNo, help: "Allow requantizing weights; quality is lost twice.")
  var allowRequantize: Bool?

  @Flag(inversion: .prefixedNo, help: "Keep NaN and infinity instead of refusing them.")
  var allowNonfinite: Bool?

  /// The scheme that was given for the output matrix.
  var outputChoice: String? { leaveOutputTensor ? Planner.keepName : outputScheme }

  /// - Throws: `ValidationError` for options that contradict each other.
  func validate() throws {
    guard !leaveOutputTensor || outputScheme == nil else {
      throw ValidationError("--leave-output-tensor and --output-scheme cannot be combined")
    }
  }
}
