import QuantCore

/// What the float layouts of compressed-tensors have in common.
struct FloatLayout {
  /// What a configuration calls the layout.
  let format: String
  /// Names of the parts.
  let parts: ScaledFloatLayout
  /// The scheme of a weight, or nil where the layout cannot hold what a config group describes.
  /// - Parameter scaleType: of the stored scales.
  let scheme: @Sendable (QuantizationConfiguration.Arguments, _ scaleType: ElementType) -> (any ScaledFloatScheme)?

  /// A weight from its parts by suffix, or nil where these are not those of one.
  /// - Throws: `Failure` where they do not fit one another or the configuration.
  @Sendable func tensor(
    name: String, arguments: QuantizationConfiguration.Arguments, stored: [String: CheckpointTensor]
  ) throws -> CheckpointTensor? {
    guard let codes = stored[parts.codes], let scales = stored[parts.scales] else { return nil }
    let scaleType = ElementType.allCases.first { $0.schemeName == scales.storage.schemeName } ?? .f32
    guard arguments.isFloat, arguments.isSymmetric, let scheme = scheme(arguments, scaleType) else {
      throw Failure(
        .unsupported, "ct.strategy", "'\(format)' weights of \(arguments.bits) bits with a scale for these parts are not read", tensor: name
      )
    }
    return try ScaledFloatStorage.tensor(name: name, scheme: scheme, codes: codes, scales: scales, globalScale: stored[parts.globalScale])
  }
}
