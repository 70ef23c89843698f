/// A format that can be read. If it can also be written, it is a `CheckpointFormat`.
public protocol CheckpointReader: Plugin {
  /// Extensions of files of this format, without the dot; empty if the format is a folder.
  static var fileExtensions: [String] { get }
  /// Whether the path looks like this format, judging by its first bytes or its files. Returns false for a file that cannot be read.
  static func recognises(_ path: String) -> Bool
  /// Opens a checkpoint. Reads headers only.
  static func open(_ path: String, options: OpenOptions) throws -> Checkpoint
  /// The naming that tensors and configuration keys of this format follow.
  static var naming: Naming { get }
  /// Whether the type of a tensor fully says what its values mean. In other formats, tensors of plain types may hold codes whose
  /// meaning is given by a configuration.
  static var typesSayAll: Bool { get }
  /// The tokenizer contained in the checkpoint; nil for formats that store it in separate files.
  /// - Throws: `Failure` if the checkpoint should contain a tokenizer but does not, or contains one that is not supported.
  static func tokenizer(of checkpoint: Checkpoint) throws -> TokenizerData?
  /// The generation settings contained in the checkpoint, under the keys of a `generation_config.json`; empty if the format stores them
  /// in a separate file.
  static func generationSettings(of checkpoint: Checkpoint) -> [JSON.Member]
  /// The role that its name gives a matrix outside of the blocks, for models that no family describes; nil: none.
  static func role(ofTensor name: String) -> TensorRole?
  /// Whether a tensor of this name contains nothing that clients need, so that it can be left out of another format.
  static func isRedundant(_ name: String) -> Bool
  /// The blocks of the model, if the format's tensor names number them, so that blocks can be dropped without a family; else nil.
  static func numberedBlocks(of checkpoint: Checkpoint) -> NumberedBlocks?
  /// Edits the checkpoint's configuration for dropped blocks.
  /// - Throws: `Failure` `blocks.configuration` if the configuration does not say how many blocks there are.
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
  /// The unpackers that may read a quantized folder.
  public var unpackers: [any Unpacker]
  /// The kinds of files that a folder may hold its weights in, in the order in which they are looked for.
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
