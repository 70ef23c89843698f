import ArgumentParser
import QuantCore

/// What weights and inputs of layers become. Properties are nil or empty where nothing was typed.
struct RoundingOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Method, with options; repeatable, applied in order.", valueName: "NAME[:k=v,...]"))
  var plugin: [String] = []

  @Option(help: ArgumentHelp("Scheme or preset. (default: the format's own)", valueName: "NAME"))
  var scheme: String?

  @Flag(inversion: .prefixedNo, help: "Use the scheme for every tensor that may be quantized, without a preset's mix.")
  var pure: Bool?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Scheme of some tensors: glob or re:REGEX; repeatable, the last match wins.", valueName: "PATTERN=SCHEME"))
  var tensor: [String] = []

  @Option(parsing: .singleValue, help: ArgumentHelp("Tensors that stay as they are stored; repeatable.", valueName: "PATTERN"))
  var keep: [String] = []

  @Option(
    name: [.customLong("output-scheme"), .customLong("output-tensor-type")],
    help: ArgumentHelp("Scheme of the output matrix, or keep.", valueName: "NAME"))
  var outputScheme: String?

  @Flag(help: "The same as --output-scheme keep.")
  var leaveOutputTensor = false

  @Option(
    name: [.customLong("embedding-scheme"), .customLong("token-embedding-type")],
    help: ArgumentHelp("Scheme of the embedding, or keep.", valueName: "NAME"))
  var embeddingScheme: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "As llama-quantize reads it: a regex in small letters is searched for, the first match wins; repeatable.",
      valueName: "REGEX=SCHEME"))
  var tensorType: [String] = []

  @Option(help: ArgumentHelp("More of these, separated by spaces or lines.", valueName: "FILE"))
  var tensorTypeFile: String?

  @Option(help: ArgumentHelp("How inputs of quantized layers are rounded, or none. (default: the preset's)", valueName: "NAME"))
  var activations: String?

  @Option(help: ArgumentHelp("Type of cached keys and values, with stored scales: fp8.", valueName: "TYPE"))
  var kvCache: String?

  @Option(
    help: ArgumentHelp(
      "Range of stored activation scales: minmax, percentile[:P], entropy, mse. (default: mse for integers, minmax for fp8)",
      valueName: "NAME"))
  var calibrator: String?

  @Option(
    help: ArgumentHelp("Search for the parameters of GGUF blocks: standard (llama.cpp's bytes, the default), or best.", valueName: "NAME"))
  var search: SearchChoice?

  @Option(
    name: [.customLong("importance"), .customLong("imatrix")],
    help: ArgumentHelp("Importance matrix that weighs errors: of llama-imatrix or calibrate.", valueName: "FILE"))
  var importance: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Use the importance of tensors with this in their names alone; repeatable.", valueName: "NAME"))
  var includeWeights: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Use no importance for tensors with this in their names; repeatable.", valueName: "NAME"))
  var excludeWeights: [String] = []

  @Flag(inversion: .prefixedNo, help: "Quantize weights that are quantized already; quality is lost twice.")
  var allowRequantize: Bool?

  @Flag(inversion: .prefixedNo, help: "Keep NaN and infinity instead of refusing them.")
  var allowNonfinite: Bool?

  /// What stands for the output matrix.
  var outputChoice: String? { leaveOutputTensor ? Planner.keepName : outputScheme }

  /// - Throws: `ValidationError` for options of which one says the opposite of the other.
  func validate() throws {
    guard !leaveOutputTensor || outputScheme == nil else {
      throw ValidationError("--leave-output-tensor and --output-scheme exclude each other")
    }
  }
}
