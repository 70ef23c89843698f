public import QuantCore

/// LoRC with columns weighed by the mean magnitude of their inputs.
///
/// Source: Zhang et al., *LQER: Low-Rank Quantization Error Reconstruction for LLMs* (arXiv 2402.02446), §3.2.
public struct LQER: QuantizationMethod {
  public static let id = "lqer"
  public static let summary = "Stores what rounding lost, weighed by mean magnitudes of the inputs, in a LoRA adapter."
  public static let reference = "arXiv 2402.02446"
  public static let requirements: Set<Statistic> = [.meanAbsolute]
  public static let options = LowRankCorrection.options(rank: 32)
  private let method: LowRankCorrection

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws { method = try LowRankCorrection(options) }

  public var stages: Set<MethodStage> { [.correct] }
  public var correction: CorrectionShape? { method.shape }

  public func factors(for task: CorrectionTask) throws -> LowRankFactors {
    // The paper scales the columns of the error; the weights of its squares are the squares of the scales.
    method.factors(for: task, weights: task.statistics.map { .columns($0.meanAbsolute.map { $0 * $0 }) } ?? .equal)
  }
}
