/// Everything that a person can say about one conversion.
public struct ConversionRequest: Sendable {
  /// Path of the checkpoint.
  public var input: String
  /// Path of the target.
  public var output: String
  /// Format ids; nil: judged by extension and content.
  public var fromFormat: String?
  /// Id of the target's format; nil: by its extension.
  public var toFormat: String?
  /// Id of the packing of quantized layers; nil: the preferred one of those that hold them.
  public var packing: String?
  /// The program that is to load the output, with a version or without (`vllm@0.11`); nil: any that reads the packing.
  public var client: String?
  /// Methods in the order in which they apply, with their options as typed. Empty: round to nearest.
  public var methods: [(id: String, options: [String: String])] = []
  /// Scheme or preset; nil: the format's default.
  public var scheme: String?
  /// Whether `scheme` is used for every tensor that may be quantized, without a preset's mix.
  public var isPure = false
  /// How widely rules that search look for the parameters of a block.
  public var search = SearchEffort.standard
  /// `PATTERN=SCHEME` as typed, in order; the last match wins.
  public var tensorRules: [String] = []
  /// Patterns of tensors that stay as they are stored, where the output can hold that.
  public var keptTensors: [String] = []
  /// `REGEX=SCHEME` as typed, read as llama-quantize does: the first match wins, after all other rules.
  public var tensorTypes: [String] = []
  /// Scheme of the output matrix (of the embedding, where that is the output too); nil: as of all others.
  public var outputScheme: String?
  /// Scheme of the embedding; nil: as of all others.
  public var embeddingScheme: String?
  /// `KEY=TYPE:VALUE` as typed: what the metadata of the output is to say.
  public var metadataValues: [String] = []
  /// Keys that the metadata of the output is not to have.
  public var droppedMetadata: [String] = []
  /// Name of the scheme of the inputs of quantized layers, or `none`; nil: what the preset says.
  public var activations: String?
  /// Name of the type that keys and values are rounded to in a cache (`fp8`); nil: they are not.
  public var keyValueCache: String?
  /// How the ranges of stored activation scales are chosen; nil: what suits their type.
  public var calibrator: RangeCalibrator?
  /// Numbers of blocks that the output is not to have; those behind move up.
  public var droppedBlocks: [Int] = []
  /// Adapters that are merged into the weights before anything else, in their order.
  public var adapters: [AdapterRequest] = []
  /// The model that an adapter was made for, where the input is an adapter and its container changes.
  public var basePath: String?
  /// Text for methods that observe.
  public var calibration = CalibrationRequest()
  /// A file of importance, which weighs errors by the columns they stand in.
  public var importancePath: String?
  /// Parts of the names of entries that alone count in that file; empty: all.
  public var includedImportance: [String] = []
  /// Parts of the names of entries that do not count in it.
  public var excludedImportance: [String] = []
  /// A file of statistics that were collected before, instead of running the model.
  public var statisticsPath: String?
  /// The stream that methods observe; nil: what the methods ask for.
  public var propagation: Propagation?
  /// Whether later layers of a block are observed behind the rounded earlier ones; needs the quantized stream.
  public var isTrueSequential = false
  /// A `config.json` instead of the one beside the input.
  public var configPath: String?
  /// A tokenizer instead of the input's own.
  public var tokenizerPath: String?
  /// Name of the pre-tokenizer, where it cannot be found from the tokenizer's pattern.
  public var preTokenizer: String?
  /// Whether an existing target is replaced.
  public var force = false
  /// Whether what an unfinished run of the same conversion did is continued, and kept where this one does not finish.
  public var resumes = false
  /// Whether NaN and infinity are kept instead of refused.
  public var allowNonfinite = false
  /// Whether quantized weights may be rounded again.
  public var allowRequantize = false
  /// Largest shard in bytes; nil: one file.
  public var shardSize: Int?
  /// Whether the output is cut into files where the input is.
  public var keepsSplit = false
  /// What is measured on the complete output before it gets its name.
  public var figures: [Figure] = []
  /// All settings that the bytes of the output depend on, as one line that is recorded in it; nil: nothing is recorded.
  public var recipe: String?
  /// Threads; no result depends on it.
  public var threads = 1

  public init(input: String, output: String) {
    self.input = input
    self.output = output
  }
}

/// How widely rules that search look for parameters.
public enum SearchEffort: String, Sendable {
  /// As the scheme's own project does.
  case standard
  /// As `Scheme.widerSearch` does, where a scheme has one.
  case best
}
