public import QuantCore

/// LoRC with errors weighed by the Gram matrix of the inputs: of all corrections of a rank, the one with the smallest error of the
/// layer's outputs.
///
/// Source: Liu et al., *EoRA: Fine-tuning-free Compensation for Compressed LLM with Eigenspace Low-Rank Approximation*
/// (arXiv 2410.21271), §3. The paper projects the error into the eigenspace of the Gram matrix and back; the product is the same, and
/// needs no inverse of small eigenvalues.
public struct EoRA: QuantizationMethod {
  public static let id = "eora"
  public static let summary = "Stores what rounding lost, weighed by the Gram matrix of the inputs, in a LoRA adapter."
  public static let reference = "arXiv 2410.21271"
  public static let requirements: Set<Statistic> = [.gram]
  /// The inputs that the corrected layers will have.
  public static let propagation = Propagation.quantized
  public static let options = LowRankCorrection.options(rank: 32)
  private let method: LowRankCorrection

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws { method = try LowRankCorrection(options) }

  public var stages: Set<MethodStage> { [.correct] }
  public var correction: CorrectionShape? { method.shape }

  public func factors(for task: CorrectionTask) throws -> LowRankFactors {
    method.factors(for: task, weights: task.statistics.map { .gram($0.gram) } ?? .equal)
  }
}
