import FolderKit
import QuantCore

/// What ModelOpt's packings share: the configuration, the file beside it, and the scales of inputs and of the cache.
protocol ModelOptPacking: FolderPacking, ActivationPacking, Unpacker {
  /// Suffixes of the parts of a matrix, besides its codes.
  static var weightParts: [String] { get }
}

extension ModelOptPacking {
  /// The tensors of each layer.
  func moduleParts(_ stored: [CheckpointTensor]) -> ModuleParts {
    ModuleParts(stored, weightParts: Self.weightParts, moduleParts: [ModelOptInput.suffix])
  }

  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    scheme == .fp8Static ? ModelOptConfiguration.cacheParts(attention: attention) : nil
  }

  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON {
    ModelOptConfiguration.addingCache(configuration)
  }

  public func files(configuration: JSON) -> [(name: String, json: JSON)] { [ModelOptConfiguration.file(configuration)] }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    ModelOptConfiguration.expectsQuantized(module, configuration)
  }

  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    ModelOptConfiguration.findings(configuration, stored: stored)
  }
}

/// The scale that ModelOpt stores for the input of a layer.
enum ModelOptInput {
  static let suffix = "input_scale"

  /// - Parameter weight: name of the layer's matrix.
  static func part(weight: String) -> StoredPart {
    StoredPart(name: weight.dropLast("weight".count) + suffix, shape: [], type: .element(.f32), byteCount: 4)
  }

  static func scale(of module: String, in parts: ModuleParts) throws -> Float {
    try ScaledFloatStorage.scale(parts.part("\(module).\(suffix)"))
  }
}
