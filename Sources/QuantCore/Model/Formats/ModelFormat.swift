/// A format that holds models. Implement which scheme a tensor gets if none was asked for; the planner calls these for every tensor.
public protocol ModelFormat: CheckpointFormat {
  /// Scheme or preset to use if none was asked for.
  static var defaultScheme: String { get }
  /// The same for an output that holds the towers of a model alone; nil: there are no such outputs.
  static var towerScheme: String? { get }
  /// The scheme of a tensor that is not quantized (norms, biases, tables).
  /// - Parameters:
  ///   - stored: name of the scheme or type in which the source stores it.
  ///   - type: the floating-point type that the whole model is converted to; nil if it is not.
  static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String
  /// Whether the choice for the whole model applies to this tensor; if not, a tensor rule can still quantize it.
  /// - Parameters:
  ///   - scheme: the scheme for the whole model; nil if a preset chooses for each tensor.
  ///   - model: nil for an architecture that no family describes: decide by name and shape then.
  static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool
  /// The scheme to fall back to if rows of this length cannot hold `scheme`, and why; nil: keep `scheme`. Not called if a tensor rule
  /// insists on the scheme.
  static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)?
  /// Whether `quantizes` has a rule for the tensors of any model, known to a family or not, such as the rule of the format's own
  /// program.
  static var knowsLayersByName: Bool { get }
}

extension ModelFormat {
  public static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)? { nil }
  public static var knowsLayersByName: Bool { false }
  public static var towerScheme: String? { nil }
}
