/// How a file or folder is laid out: reads a checkpoint, and lays out a new one.
///
/// Laying out is a pure function from a plan to files with offsets; writing them (reserve, write, sync, verify, rename)
/// is the same for every format and belongs to `OutputTransaction`.
public protocol CheckpointFormat: CheckpointReader {
  /// Whether outputs are folders.
  static var isFolder: Bool { get }
  /// What it may hold.
  static var contents: Set<CheckpointContent> { get }
  /// Scheme or preset used where none is asked for.
  static var defaultScheme: String { get }
  /// The scheme of a tensor that is not quantized (norms, biases, tables).
  /// - Parameters:
  ///   - stored: how the source stores it.
  ///   - type: the floating-point type that the whole model becomes; nil where it does not.
  static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String
  /// Whether what is chosen for the whole model holds for this tensor; a rule of its own may still ask for more.
  /// - Parameters:
  ///   - scheme: the scheme for the whole model; nil where a preset chooses.
  ///   - model: nil for an architecture that no family describes: then name and shape have to do.
  static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool
  /// What takes the place of a scheme that rows of this length cannot hold, and why, where nobody insists on the scheme; nil:
  /// nothing does.
  static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)?
  /// Whether `quantizes` has a rule for the tensors of any model, known to a family or not: that of the container's own program.
  static var knowsLayersByName: Bool { get }
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
  /// The tensors of an adapter, under their names in this container; asked for where `contents` has adapters.
  /// - Throws: `Failure` where the container has no place for a part of it.
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor]
  /// Files, offsets and header bytes for a sealed plan.
  static func layout(_ request: OutputRequest) throws -> OutputLayout
}

extension CheckpointFormat {
  public static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)? { nil }
  public static var knowsLayersByName: Bool { false }
  public static var splits: Bool { isFolder }
  public static var holdsKeyValues: Bool { false }
  public static var holdsAnyTensors: Bool { false }
  public static var namesPacking: Bool { false }
  public static func refusal(of model: ModelDescription) -> Failure? { nil }
  public static var contents: Set<CheckpointContent> { [.model] }
  public static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor] { [] }
}
