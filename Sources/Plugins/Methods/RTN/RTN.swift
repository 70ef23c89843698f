public import QuantCore

/// Round to nearest: every weight gets the nearest value of its group, under parameters that the scheme's own rule
/// chooses from the group alone.
///
/// It needs no text and no family. It is the baseline that every other method must beat, and the fallback of all of them.
/// For a scheme of another project (llama.cpp's blocks, compressed-tensors' integers), the bytes equal those that
/// the project itself writes.
public struct RTN: QuantizationMethod {
  public static let id = "rtn"
  public static let summary = "Rounds to nearest by the scheme's own rule; needs no calibration."
  public static let reference = "the baseline of every quantization paper; rules: Docs/schemes.md"

  /// - Throws: never; RTN has no options.
  public init(_ options: OptionValues) throws {}

  /// Everything is left to the scheme's rule, or to other methods of the chain.
  public var stages: Set<MethodStage> { [] }
}
