/// One scheme, and one rounding of inputs, for the linear layers of the blocks; those whose rows its groups do not divide stay as they are.
public struct BlockLinears: Preset {
  public let name: String
  /// Name of the scheme.
  public let scheme: String
  /// How clients round the inputs of the layers; nil: not at all.
  public let activations: ActivationScheme?

  public init(name: String, scheme: String, activations: ActivationScheme?) {
    self.name = name
    self.scheme = scheme
    self.activations = activations
  }

  public var pureScheme: String? { scheme }

  public func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice] {
    let length = groupLength
    return tensors.map { tensor in
      guard tensor.isQuantizable, tensor.isBlockLinear(of: model) else { return PresetChoice(scheme: nil) }
      let columns = tensor.shape[1]
      if let length, !columns.isMultiple(of: length) {
        return PresetChoice(scheme: nil, note: "rows of \(columns) are not a multiple of \(length)")
      }
      return PresetChoice(scheme: scheme, activations: activations)
    }
  }

  /// The group size that the length of rows must be a multiple of: that of the weights, else that of their inputs.
  private var groupLength: Int? {
    let providers: [any SchemeProvider.Type] = [IntegerSchemes.self, MicroscalingSchemes.self, GroupedFloatSchemes.self]
    let weights = providers.lazy.compactMap { $0.scheme(named: scheme, modelType: .f32) }.first
    return weights?.grid.groupLength ?? activations?.groupLength
  }
}
