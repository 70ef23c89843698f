public import QuantCore

/// A packing of compressed-tensors. Packings differ in which grids they hold and in the parts of a weight; the configuration,
/// the stored scales of inputs and caches, and reading are the same for all.
public protocol CompressedTensorsPacking: FolderPacking, ActivationPacking, Unpacker {}

extension CompressedTensorsPacking {
  public static var reference: String { "https://github.com/vllm-project/compressed-tensors" }

  /// Weights alone, unless a packing says otherwise.
  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool { activations == nil && holds(grid) }

  public func inputParts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] {
    StoredInput.parts(name: name, activations: activations, modelType: modelType)
  }

  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    StoredInput.cacheParts(attention: attention, scheme: scheme, modelType: modelType)
  }

  public var configurationKind: String { QuantizationConfiguration.method }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    QuantizationConfiguration.json(format: Self.id, modules: modules, unquantized: unquantized)
  }

  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON {
    QuantizationConfiguration.adding(cache: scheme, to: configuration)
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    try QuantizationConfiguration.activations(configuration, format: Self.id, stored: stored)
  }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    (try? ConfigGroups(configuration))?.expectsQuantized(module)
  }

  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    QuantizationConfiguration.findings(configuration, stored: stored)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    try QuantizationConfiguration.unpack(configuration, format: Self.id, stored: stored)
  }
}

extension QuantizedPanel {
  /// The scales of all groups, row after row, as a scheme stores them.
  func scaleBytes(_ scheme: any Scheme) -> [UInt8] {
    NumberConversion.bytes(of: parameters(at: 0), as: scheme.grid.scaleType)
  }
}
