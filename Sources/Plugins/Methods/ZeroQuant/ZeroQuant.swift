public import QuantCore

/// Fine-grained rounding without calibration: weights in groups or channels, inputs with one scale per token.
///
/// ZeroQuant's number formats are a choice of schemes, which `ZeroQuantPresets` makes; the codes are those of round to
/// nearest. Its layer-by-layer distillation trains the weights with gradients, which is no part of this method: error feedback
/// (`--plugin gptq` on the same scheme) compensates for rounding without them.
///
/// Source: Yao et al., *ZeroQuant: Efficient and Affordable Post-Training Quantization for Large-Scale Transformers*
/// (arXiv 2206.01861), §4.1 and §5. The trap: its code divides an asymmetric range by `2^b` instead of `2^b − 1`, and lets
/// groups straddle rows.
public struct ZeroQuant: QuantizationMethod {
  public static let id = "zeroquant"
  public static let summary = "Rounds to nearest: attention to 8 bits, feed-forward to 4, inputs per token; needs no calibration."
  public static let reference = "arXiv 2206.01861"
  public static let defaultScheme: String? = ZeroQuantPresets.mixed

  /// - Throws: never; ZeroQuant has no options.
  public init(_ options: OptionValues) throws {}

  /// Everything is left to the scheme's rule, or to other methods of the chain.
  public var stages: Set<MethodStage> { [] }
}
