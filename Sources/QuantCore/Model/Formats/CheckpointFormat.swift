/// How a file or folder is laid out: reads a checkpoint, and lays out a new one. It holds models (`ModelFormat`), adapters
/// (`AdapterFormat`), or both.
///
/// Implement what the output is and `layout`. Laying out is a pure function from a plan to files with offsets; writing them
/// (reserve, write, sync, verify, rename) is the same for every format and belongs to `OutputTransaction`.
public protocol CheckpointFormat: CheckpointReader {
  /// Whether outputs are folders.
  static var isFolder: Bool { get }
  /// Names that this container gives its tensors.
  static var naming: Naming { get }
  /// Whether an output can be cut into several files.
  static var splits: Bool { get }
  /// Whether the metadata of an output are typed keys and values that a person can edit.
  static var holdsKeyValues: Bool { get }
  /// Files, offsets and header bytes for a sealed plan.
  static func layout(_ request: OutputRequest) throws -> OutputLayout
}

extension CheckpointFormat {
  public static var splits: Bool { isFolder }
  public static var holdsKeyValues: Bool { false }
}
