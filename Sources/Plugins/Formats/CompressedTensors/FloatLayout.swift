import QuantCore

/// What the float packings of compressed-tensors have in common.
struct FloatLayout {
  /// What a configuration calls the packing.
  let format: String
  /// Names of the parts.
  let parts: ScaledFloatLayout
  /// The scheme of a weight, or nil if the packing cannot hold what a config group describes.
  /// - Parameter scaleType: the type of the stored scales.
  let scheme: @Sendable (QuantizationConfiguration.Arguments, _ scaleType: ElementType) -> (any ScaledFloatScheme)?

  /// A weight, made from its parts by suffix, or nil if codes or scales are missing.
  /// - Throws: `Failure` if the parts do not fit one another or the configuration.
  @Sendable func tensor(
    name: String, arguments: QuantizationConfiguration.Arguments, stored: [String: CheckpointTensor]
  ) throws -> CheckpointTensor? {
    guard let codes = stored[parts.codes], let scales = stored[parts.scales] else { return nil }
    let scaleType = ElementType.allCases.first { $0.schemeName == scales.storage.schemeName } ?? .f32
    guard arguments.isFloat, arguments.isSymmetric, let scheme = scheme(arguments, scaleType) else {
      throw Failure(
        .unsupported, "ct.strategy", "'\(format)' weights of \(arguments.bits) bits are not supported with this strategy", tensor: name
      )
    }
    return try ScaledFloatStorage.tensor(name: name, scheme: scheme, codes: codes, scales: scales, globalScale: stored[parts.globalScale])
  }
}
