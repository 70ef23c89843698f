/// All settings of one conversion.
public struct ConversionRequest: Sendable {
  /// Path of the checkpoint.
  public var input: String
  /// Path of the output.
  public var output: String
  /// Id of the input's format; nil: found from extension and content.
  public var fromFormat: String?
  /// Id of the output's format; nil: found from its extension.
  public var toFormat: String?
  /// Id of the packing of quantized layers; nil: the most preferred of those that can hold them.
  public var packing: String?
  /// The client that must be able to load the output, optionally with a version (`vllm@0.11`); nil: any that reads the packing.
  public var client: String?
  /// Whether the towers of the model are written, alone, instead of its language model.
  public var writesTowers = false
  /// What becomes of blocks that predict further tokens.
  public var predictions = PredictionChoice.kept
  /// Methods in the order in which they apply, with their options as typed. Empty: round to nearest.
  public var methods: [(id: String, options: [String: String])] = []
  /// Scheme or preset; nil: the format's default.
  public var scheme: String?
  /// The size or quality for which types are chosen, if any.
  public var size = SizeRequest()
  /// Whether `scheme` is used for every tensor that may be quantized, instead of a preset's choice for each tensor.
  public var isPure = false
  /// How widely rules that search for parameters search.
  public var search = SearchEffort.standard
  /// `PATTERN=SCHEME` as typed, in order; the last match wins.
  public var tensorRules: [String] = []
  /// Patterns of tensors that stay as they are stored, if the output can hold that.
  public var keptTensors: [String] = []
  /// Patterns of tensors of the source that are left out.
  public var droppedTensors: [String] = []
  /// `REGEX=SCHEME` as typed, read as llama-quantize does: the first match wins, after all other rules.
  public var tensorTypes: [String] = []
  /// Scheme of the output matrix (of the embedding, if the two are tied); nil: as for all other tensors.
  public var outputScheme: String?
  /// Scheme of the embedding; nil: as for all other tensors.
  public var embeddingScheme: String?
  /// `KEY=TYPE:VALUE` as typed: metadata to set in the output.
  public var metadataValues: [String] = []
  /// Keys to drop from the metadata of the output.
  public var droppedMetadata: [String] = []
  /// Name of the activation scheme of quantized layers, or `none`; nil: what the preset says.
  public var activations: String?
  /// Name of the type that cached keys and values are rounded to (`fp8`); nil: not rounded, or as in the source.
  public var keyValueCache: String?
  /// How the ranges of stored activation scales are chosen; nil: as suits their type.
  public var calibrator: RangeCalibrator?
  /// Numbers of blocks to drop; later blocks are renumbered.
  public var droppedBlocks: [Int] = []
  /// Adapters that are merged into the weights before anything else, in order.
  public var adapters: [AdapterRequest] = []
  /// The model that an adapter was made for, if the input is an adapter and its format changes.
  public var basePath: String?
  /// Calibration text for methods that observe.
  public var calibration = CalibrationRequest()
  /// An importance file, which weighs errors by their columns.
  public var importancePath: String?
  /// Substrings of entry names: only entries with one of them count in that file; empty: all count.
  public var includedImportance: [String] = []
  /// Substrings of entry names: entries with one of them do not count.
  public var excludedImportance: [String] = []
  /// A file of statistics that were collected earlier; the model is then not run.
  public var statisticsPath: String?
  /// The stream that methods observe; nil: what the methods ask for.
  public var propagation: Propagation?
  /// Whether later layers of a block are observed after its earlier ones are rounded; needs the quantized stream.
  public var isTrueSequential = false
  /// A `config.json` to use instead of the one beside the input.
  public var configPath: String?
  /// A tokenizer to use instead of the input's.
  public var tokenizerPath: String?
  /// Name of the pre-tokenizer, if it cannot be found from the tokenizer's pattern.
  public var preTokenizer: String?
  /// Whether an existing output is replaced.
  public var force = false
  /// Whether to continue an unfinished run of the same conversion, and to keep what is done if this run does not finish.
  public var resumes = false
  /// Whether NaN and infinity are kept instead of refused.
  public var allowNonfinite = false
  /// Whether quantized weights may be requantized.
  public var allowRequantize = false
  /// Size limit of a shard in bytes; nil: one file.
  public var shardSize: Int?
  /// Whether the output is split into files where the input is.
  public var keepsSplit = false
  /// What is measured on the complete output before it gets its name.
  public var figures: [Figure] = []
  /// All settings that the bytes of the output depend on, as one line that is recorded in the output; nil: nothing is recorded.
  public var recipe: String?
  /// Number of threads; no result depends on it.
  public var threads = 1

  public init(input: String, output: String) {
    self.input = input
    self.output = output
  }
}

/// What becomes of blocks that predict further tokens, in a GGUF that is made from a folder.
public enum PredictionChoice: String, Sendable {
  /// They follow the others.
  case kept
  /// They are written alone, with the embedding, the norm and the output matrix that they share with the model.
  case alone
  /// They are left out.
  case none
}

/// How widely rules that search for parameters search.
public enum SearchEffort: String, Sendable {
  /// As the scheme's own project does.
  case standard
  /// As `Scheme.widerSearch` does, if a scheme has one.
  case best
}
