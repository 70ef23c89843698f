/// A preset name (`q4_k_m`, `w4a16`) that stands for a choice per tensor.
public protocol PresetProvider: Plugin {
  static var presetNames: [String] { get }
  /// The preset of this name, or nil.
  static func preset(named name: String) -> (any Preset)?
}

/// A choice of scheme for every tensor of a model.
public protocol Preset: Sendable {
  var name: String { get }
  /// Scheme names for the tensors of a model, in the order given.
  func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice]
  /// The scheme that is meant where a person wants one for all tensors; nil where no single one is.
  var pureScheme: String? { get }
  /// Schemes that this preset alone does not use in layers without importance, whoever chose them.
  var importantSchemes: Set<String> { get }
}

extension Preset {
  public var pureScheme: String? { nil }
  public var importantSchemes: Set<String> { [] }
}

/// What a preset may look at. Names and shapes are those of the target.
public struct PresetTensor: Sendable {
  /// Name in the target.
  public var name: String
  /// Dimensions, outermost first.
  public var shape: [Int]
  /// Whether the family (or, without one, the container's rule) lets this tensor be quantized.
  public var isQuantizable: Bool
  /// Its part in the model; nil without a family.
  public var id: TensorID?
  /// Whether importance was given for the model, so that searches can follow it.
  public var hasImportance = false
  /// Whether a person chose the scheme of this tensor, so that the preset's answer does not matter.
  public var isDecided = false
  /// Blocks that were taken out of the source, the same for all.
  public var droppedBlocks = 0
  /// The source's configuration, the same for all: it says what no family describes.
  public var configuration: Configuration?

  public init(name: String, shape: [Int], isQuantizable: Bool, id: TensorID?) {
    self.name = name
    self.shape = shape
    self.isQuantizable = isQuantizable
    self.id = id
  }
}

extension PresetTensor {
  /// Whether this is a linear layer of a block. The graph says so; without one the name has to do, and what may be something else
  /// (a router, a part of a vision tower) is none.
  public func isBlockLinear(of model: ModelDescription?) -> Bool {
    guard shape.count == 2 else { return false }
    if let id, let model, let kind = model.kind(of: id) { return id.block != nil && kind.isWeight && !kind.isSensitive }
    return LinearLayerNames.isLinear(name, shape: shape, configuration: configuration)
  }
}

/// What a preset answers for one tensor.
public struct PresetChoice: Sendable, Equatable {
  /// A scheme name, or nil: keep the tensor in its unquantized type.
  public var scheme: String?
  /// How readers are to round the inputs of this layer, or nil: not at all.
  public var activations: ActivationScheme?
  /// Why it is not the preset's first choice (row length, policy), or nil.
  public var note: String?

  public init(scheme: String?, activations: ActivationScheme? = nil, note: String? = nil) {
    self.scheme = scheme
    self.activations = activations
    self.note = note
  }
}

extension PresetProvider { public static var axis: PluginAxis { .preset } }
