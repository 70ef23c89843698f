/// A packing that can say how activations are rounded: the inputs of its layers, or cached keys and values.
///
/// Implement `holds(_:activations:)`, `inputParts` if clients look for stored scales of inputs, and `cacheParts` if they look for those
/// of a cache. The host finds the values by calibration, or keeps those of the source, and stores them in these parts next to the
/// layer. With any other packing, inputs are not rounded.
public protocol ActivationPacking: Packing {
  /// Whether clients can compute with weights on this grid and inputs that are rounded like this; nil: inputs that are not rounded.
  func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool
  /// Where the stored parameters of a layer's rounded input go: one scale, and a zero point if the scheme is asymmetric. Empty if
  /// clients do not look for any. Called for static schemes only.
  /// - Parameters:
  ///   - name: the name of the layer's weight.
  ///   - modelType: the type that the model computes in.
  func inputParts(name: String, activations: ActivationScheme, modelType: ElementType) -> [(part: StoredPart, value: CalibratedValue.Part)]
  /// Where the scales of rounded keys and values go, or nil if clients do not look for any.
  /// - Parameter attention: name of the attention module.
  func cacheParts(attention: String, scheme: ActivationScheme, modelType: ElementType) -> (keys: StoredPart, values: StoredPart)?
}

extension ActivationPacking {
  public func inputParts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] { [] }
  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? { nil }
}

extension Packing {
  /// Whether clients of the packing, of any kind, can compute with weights on this grid and inputs that are rounded like this.
  package func holds(_ grid: Grid, inputs: ActivationScheme?) -> Bool {
    // A product sums over the channels of its input, so it could be scaled only if they shared a scale.
    if inputs?.granularity == .channel { return false }
    guard let packing = self as? any ActivationPacking else { return inputs == nil && holds(grid) }
    return packing.holds(grid, activations: inputs)
  }
}
