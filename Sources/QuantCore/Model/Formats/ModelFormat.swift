/// A format that holds models. Implement which scheme a tensor gets where nobody asked for one; the planner asks for every tensor.
public protocol ModelFormat: CheckpointFormat {
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
}

extension ModelFormat {
  public static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)? { nil }
  public static var knowsLayersByName: Bool { false }
}
