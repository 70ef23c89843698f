/// How a file or folder is laid out: reads a checkpoint, and lays out a new one. It holds models (`ModelFormat`), adapters
/// (`AdapterFormat`), or both.
///
/// Implement what the output is and `layout`. Laying out is a pure function from a plan to files with offsets; writing them
/// (reserve, write, sync, verify, rename) is the same for every format and belongs to `OutputTransaction`.
public protocol CheckpointFormat: CheckpointReader {
  /// Whether outputs are folders.
  static var isFolder: Bool { get }
  /// Whether an output can be cut into several files.
  static var splits: Bool { get }
  /// Whether the metadata of an output are typed keys and values that a person can edit.
  static var holdsKeyValues: Bool { get }
  /// Whether files hold any tensors by name, with texts beside them, and nothing else: statistics are stored in the first such format.
  static var holdsAnyTensors: Bool { get }
  /// Whether a configuration says which packing holds the quantized tensors, so that any may that does not name its formats.
  static var namesPacking: Bool { get }
  /// Why no output can hold the model, whatever its weights become, or nil: programs that read this container do not know it.
  static func refusal(of model: ModelDescription) -> Failure?
  /// What the metadata are to say of the pre-tokenizer, where the output keeps the tokenizer that the source carries inside.
  /// - Parameter name: as a person gave it, or nil.
  /// - Throws: `Failure` of kind usage where the tokenizer has no use for a name.
  static func preTokenizerEdits(_ name: String?, source: Checkpoint, _ warnings: inout [String]) throws(Failure) -> [MetadataEdit]
  /// Files, offsets and header bytes for a sealed plan.
  static func layout(_ request: OutputRequest) throws -> OutputLayout
}

extension CheckpointFormat {
  public static var splits: Bool { isFolder }
  public static var holdsKeyValues: Bool { false }
  public static var holdsAnyTensors: Bool { false }
  public static var namesPacking: Bool { false }
  public static func refusal(of model: ModelDescription) -> Failure? { nil }
  public static func preTokenizerEdits(
    _ name: String?, source: Checkpoint, _ warnings: inout [String]
  ) throws(Failure) -> [MetadataEdit] { [] }

  /// What it may hold, as the protocols say that it conforms to.
  package static var contents: Set<CheckpointContent> {
    Set([(self is any ModelFormat.Type) ? .model : nil, (self is any AdapterFormat.Type) ? .adapter : nil].compactMap { $0 })
  }
}
