/// How a file or folder is read. What can be written too is a `CheckpointFormat`.
public protocol CheckpointReader: Plugin {
  /// Extensions of files of this format without the dot; empty for a format that is a folder.
  static var fileExtensions: [String] { get }
  /// Whether the path looks like this format, judged by its first bytes or its files. Never throws: a file that cannot be
  /// read is nobody's.
  static func recognises(_ path: String) -> Bool
  /// Opens a checkpoint. Reads headers only.
  static func open(_ path: String, options: OpenOptions) throws -> Checkpoint
  /// Names that this container gives its tensors.
  static var naming: Naming { get }
  /// Whether the types of tensors say all about their numbers. Elsewhere codes lie in tensors of plain types, and a configuration
  /// says what they mean.
  static var typesSayAll: Bool { get }
  /// The tokenizer that the container carries inside; nil for containers that have it in files of its own.
  /// - Throws: `Failure` where such a container lacks it, or holds one that is not supported.
  static func tokenizer(of checkpoint: Checkpoint) throws -> TokenizerData?
  /// How the container says that the model is meant to be sampled, by the keys of a `generation_config.json`; none where it says so in
  /// a file of its own.
  static func generationSettings(of checkpoint: Checkpoint) -> [JSON.Member]
  /// The role that a name gives a matrix outside of the blocks, where no family describes the model; nil: none.
  static func role(ofTensor name: String) -> TensorRole?
  /// Whether a tensor of this name holds nothing that clients do not compute themselves, so that it can be left out.
  static func isRedundant(_ name: String) -> Bool
  /// The blocks of a model that no family needs to tell apart, because the names of tensors number them; nil for containers of other names.
  static func numberedBlocks(of checkpoint: Checkpoint) -> NumberedBlocks?
  /// Has the checkpoint's configuration say that some blocks are gone.
  /// - Throws: `Failure` `blocks.configuration` where it does not say how many there are.
  static func drop(_ blocks: DroppedBlocks, from checkpoint: inout Checkpoint) throws(Failure)
}

extension CheckpointReader {
  public static var typesSayAll: Bool { false }
  public static func tokenizer(of checkpoint: Checkpoint) throws -> TokenizerData? { nil }
  public static func generationSettings(of checkpoint: Checkpoint) -> [JSON.Member] { [] }
  public static func role(ofTensor name: String) -> TensorRole? { nil }
  public static func isRedundant(_ name: String) -> Bool { false }
  public static func numberedBlocks(of checkpoint: Checkpoint) -> NumberedBlocks? { nil }
  public static func drop(_ blocks: DroppedBlocks, from checkpoint: inout Checkpoint) throws(Failure) {
    throw blocks.notCounted(file: checkpoint.path, remedy: "Drop blocks of the model in another format.")
  }
}

/// How to open an input.
public struct OpenOptions: Sendable {
  /// What may read a quantized folder.
  public var unpackers: [any Unpacker]
  /// Kinds of files that a folder may hold its weights in, in the order in which they are looked for.
  public var weightFormats: [any WeightFormat.Type]
  /// Path of a `config.json` to use instead of the one beside the input.
  public var configPath: String?
  /// Path of a tokenizer file or folder to use instead of the one beside the input.
  public var tokenizerPath: String?

  public init(
    unpackers: [any Unpacker] = [], weightFormats: [any WeightFormat.Type] = [], configPath: String? = nil, tokenizerPath: String? = nil
  ) {
    self.unpackers = unpackers
    self.weightFormats = weightFormats
    self.configPath = configPath
    self.tokenizerPath = tokenizerPath
  }
}

extension CheckpointReader { public static var axis: PluginAxis { .format } }
