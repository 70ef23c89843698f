/// What `--activations` asks for: how the inputs of all quantized layers are rounded.
struct InputChoice {
  /// Whether it was given; otherwise presets decide.
  let isGiven: Bool
  /// nil: inputs are not rounded.
  let scheme: ActivationScheme?

  /// - Throws: `Failure` of kind usage for an unknown name.
  init(_ name: String?) throws(Failure) {
    isGiven = name != nil
    guard let name, name != "none" else {
      scheme = nil
      return
    }
    guard let found = ActivationScheme(named: name) else {
      throw Registry.unknown("activation scheme", "activations.unknown", name, among: ["none"] + ActivationScheme.names)
    }
    scheme = found
  }

  /// How the input of one layer is rounded. Only inputs of quantized layers are rounded.
  func scheme(for tensor: PresetTensor, weights: (any Scheme)?, choice: PresetChoice, model: ModelDescription?) -> ActivationScheme? {
    guard let weights, weights.grid.kind != .float else { return nil }
    guard isGiven else { return choice.activations }
    return tensor.isBlockLinear(of: model) ? scheme : nil
  }
}
