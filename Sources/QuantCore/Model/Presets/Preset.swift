/// Provides presets: names (`q4_k_m`, `w4a16`) that stand for a choice of scheme for each tensor.
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
  /// The scheme that is used for all tensors with `--pure`; nil if the preset has no such scheme.
  var pureScheme: String? { get }
  /// Schemes that layers without importance must not have under this preset, even if a tensor rule chose them.
  var importantSchemes: Set<String> { get }
}

extension Preset {
  public var pureScheme: String? { nil }
  public var importantSchemes: Set<String> { [] }
}

/// A tensor as a preset sees it. Names and shapes are those of the output.
public struct PresetTensor: Sendable {
  /// Name in the output.
  public var name: String
  /// Dimensions, outermost first.
  public var shape: [Int]
  /// Whether the family (or, without one, the format's rule) allows this tensor to be quantized.
  public var isQuantizable: Bool
  /// Identifies the tensor in the model; nil without a family.
  public var id: TensorID?
  /// Whether importance was given for the model, so that rules can use it.
  public var hasImportance = false
  /// Whether a tensor rule chose the scheme of this tensor, so that the preset's answer does not matter.
  public var isDecided = false
  /// Number of blocks that were dropped from the source; the same for all tensors.
  public var droppedBlocks = 0
  /// The source's configuration, for what no family describes; the same for all tensors.
  public var configuration: Configuration?

  public init(name: String, shape: [Int], isQuantizable: Bool, id: TensorID?) {
    self.name = name
    self.shape = shape
    self.isQuantizable = isQuantizable
    self.id = id
  }
}

extension PresetTensor {
  /// Whether this is a linear layer of a block: according to the family or, without one, to the name. A tensor that may be something
  /// else (a router, a part of a vision tower) does not count.
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
  /// How clients round the inputs of this layer, or nil: not at all.
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
