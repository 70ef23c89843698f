public import QuantCore

/// Low-rank compensation: the largest singular values of what rounding lost, without calibration.
///
/// Source: Yao et al., *ZeroQuant-V2: Exploring Post-training Quantization in LLMs from Comprehensive Study to Low Rank Compensation*
/// (arXiv 2303.08302), §5.
public struct LoRC: QuantizationMethod {
  public static let id = "lorc"
  public static let summary = "Stores the largest singular values of what rounding lost in a LoRA adapter; needs no calibration."
  public static let reference = "arXiv 2303.08302"
  public static let options = LowRankCorrection.options(rank: 8)
  private let method: LowRankCorrection

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws { method = try LowRankCorrection(options) }

  public var stages: Set<MethodStage> { [.correct] }
  public var correction: CorrectionShape? { method.shape }

  public func factors(for task: CorrectionTask) throws -> LowRankFactors { method.factors(for: task, weights: .equal) }
}
