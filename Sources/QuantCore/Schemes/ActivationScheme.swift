/// How a program that runs the model rounds the inputs of a linear layer, with scales that it computes while it runs. Nothing
/// is stored for it but its name in the configuration; qconvert's own engine computes with unrounded inputs.
public struct ActivationScheme: Sendable, Hashable {
  /// Type of a rounded input.
  public let element: ElementType
  /// Channels of a token that share a scale; nil for all.
  public let groupLength: Int?

  /// FP8 E4M3 with a scale for each token.
  public static let fp8Token = ActivationScheme(element: .f8e4m3, groupLength: nil)
  /// FP8 E4M3 with a scale for each 128 channels of a token.
  public static let fp8Group128 = ActivationScheme(element: .f8e4m3, groupLength: 128)
}

/// A quantized linear layer, as a packing describes it to the readers of a checkpoint.
public struct QuantizedModule: Sendable {
  /// Name of the layer: its tensor's without `.weight`.
  public var name: String
  public var scheme: any Scheme
  /// Nil where inputs are not rounded.
  public var activations: ActivationScheme?

  public init(name: String, scheme: any Scheme, activations: ActivationScheme? = nil) {
    self.name = name
    self.scheme = scheme
    self.activations = activations
  }
}
