/// A format that can be written: reads a checkpoint, and lays out a new one. It holds models (`ModelFormat`), adapters
/// (`AdapterFormat`), or both.
///
/// Implement `isFolder` and `layout`; the other requirements of this protocol have defaults. Laying out is a pure function from a plan
/// to files with offsets; writing them (reserve, write, sync, verify, rename) is done by `OutputTransaction` for every format.
public protocol CheckpointFormat: CheckpointReader {
  /// Whether outputs are folders.
  static var isFolder: Bool { get }
  /// Whether an output can be split into several files.
  static var splits: Bool { get }
  /// Whether the metadata of an output is typed keys and values that a person can edit.
  static var holdsKeyValues: Bool { get }
  /// Whether a file holds arbitrary tensors by name, with text metadata, and nothing else. Statistics are stored in the first such
  /// format.
  static var holdsAnyTensors: Bool { get }
  /// Whether a configuration says which packing holds the quantized tensors. Packings that list no formats can then be used.
  static var namesPacking: Bool { get }
  /// Why no output of this format can hold the model, whatever scheme is used; nil if one can. The usual reason is that the clients
  /// of the format do not support the model.
  static func refusal(of model: ModelDescription) -> Failure?
  /// The edits that state the pre-tokenizer in the metadata, for an output that keeps the tokenizer contained in the source.
  /// - Parameter name: the name that the user gave, or nil.
  /// - Throws: `Failure` of kind usage if the tokenizer does not use a pre-tokenizer name.
  static func preTokenizerEdits(_ name: String?, source: Checkpoint, _ warnings: inout [String]) throws(Failure) -> [MetadataEdit]
  /// What a user must know of companion files of a source that an output does not get; nil: nothing.
  static func caution(ofCompanions source: Checkpoint) -> String?
  /// Files, offsets and header bytes for a sealed plan.
  static func layout(_ request: OutputRequest) throws -> OutputLayout
}

extension CheckpointFormat {
  public static var splits: Bool { isFolder }
  public static var holdsKeyValues: Bool { false }
  public static var holdsAnyTensors: Bool { false }
  public static var namesPacking: Bool { false }
  public static func refusal(of model: ModelDescription) -> Failure? { nil }
  public static func caution(ofCompanions source: Checkpoint) -> String? { nil }
  public static func preTokenizerEdits(
    _ name: String?, source: Checkpoint, _ warnings: inout [String]
  ) throws(Failure) -> [MetadataEdit] { [] }

  /// What it can hold, according to the protocols that it conforms to.
  package static var contents: Set<CheckpointContent> {
    Set([(self is any ModelFormat.Type) ? .model : nil, (self is any AdapterFormat.Type) ? .adapter : nil].compactMap { $0 })
  }
}
