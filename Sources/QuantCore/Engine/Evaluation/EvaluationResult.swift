import QuantPlatform

/// A mean with its standard error, from independent observations.
public struct Estimate: Sendable, Equatable {
  /// The mean.
  public var value: Double
  /// One standard deviation of the mean.
  public var standardError: Double

  /// An estimate with a known error.
  public init(value: Double, standardError: Double) {
    self.value = value
    self.standardError = standardError
  }

  /// Mean of some observations and the standard error of that mean (0 for fewer than two).
  init(mean observations: [Double]) {
    let count = Double(observations.count)
    value = observations.reduce(0, +) / max(1, count)
    let mean = value
    let spread = observations.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    standardError = observations.count > 1 ? (spread / count / (count - 1)).squareRoot() : 0
  }

  /// `e^x`, with its standard error by the delta method.
  var exponential: Estimate {
    let result = exp(value)
    return Estimate(value: result, standardError: result * standardError)
  }
}

/// How well a model predicts a text, and how far it is from a reference model. An encoder predicts nothing: its vectors are compared.
public struct EvaluationResult: Sendable, Equatable {
  /// Which positions were scored.
  public var `protocol`: EvaluationProtocol
  /// Tokens per window.
  public var context: Int
  /// Windows that were used.
  public var windows: Int
  /// Predictions that were scored; with an encoder, tokens that were read.
  public var tokens: Int
  /// `e` to the mean negative log-likelihood; nil for an encoder.
  public var perplexity: Estimate?
  /// Present if a reference was given.
  public var comparison: Divergence?
  /// Present for an encoder.
  public var vectors: VectorComparison?

  /// How much the perplexity is above that of the reference; negative if it is below.
  public var perplexityRise: Double? {
    guard let perplexity, let comparison else { return nil }
    return perplexity.value - comparison.perplexity.value
  }

  /// ZeroQuant-V2's class of sensitivity (arXiv 2303.08302, §3): 1 if the perplexity rises by at most 0.1, 2 by at most 0.5, else 3. Its
  /// bounds are absolute, and meant for models with perplexities of 10 to 30.
  public var sensitivity: Int? {
    perplexityRise.map { $0 <= 0.1 ? 1 : $0 <= 0.5 ? 2 : 3 }
  }

  /// Distance of the model's predictions from the reference's, at the same positions.
  public struct Divergence: Sendable, Equatable {
    /// Perplexity of the reference.
    public var perplexity: Estimate
    /// Mean KL(reference ‖ model) over the positions, in nats.
    public var divergence: Estimate
    /// Median; with an even number of positions, the mean of the two middle ones.
    public var divergenceMedian: Double
    /// 99th percentile, interpolated linearly between ranks.
    public var divergence99: Double
    /// The worst position.
    public var divergenceMaximum: Double
    /// Share of positions at which both models have the same most likely token.
    public var sameTop: Estimate
  }
}

/// The scores of each position, in the order of the text.
struct PositionScores {
  var losses: [Double] = []
  var referenceLosses: [Double] = []
  var divergences: [Double] = []
  var sameTop = 0

  func result(_ options: EvaluationOptions, windows: Int) -> EvaluationResult {
    EvaluationResult(
      protocol: options.protocol, context: options.context, windows: windows, tokens: losses.count,
      perplexity: Estimate(mean: losses).exponential, comparison: referenceLosses.isEmpty ? nil : comparison())
  }

  private func comparison() -> EvaluationResult.Divergence {
    let sorted = divergences.sorted()
    let count = Double(sorted.count)
    let share = Double(sameTop) / count
    let shareError = count > 1 ? (share * (1 - share) / (count - 1)).squareRoot() : 0
    return EvaluationResult.Divergence(
      perplexity: Estimate(mean: referenceLosses).exponential, divergence: Estimate(mean: divergences),
      divergenceMedian: PositionScores.quantile(sorted, 0.5), divergence99: PositionScores.quantile(sorted, 0.99),
      divergenceMaximum: sorted.last ?? 0, sameTop: Estimate(value: share, standardError: shareError))
  }

  static func quantile(_ sorted: [Double], _ fraction: Double) -> Double {
    guard let last = sorted.last else { return 0 }
    let rank = fraction * Double(sorted.count - 1)
    let lower = Int(rank)
    guard lower + 1 < sorted.count else { return last }
    return sorted[lower] + (rank - Double(lower)) * (sorted[lower + 1] - sorted[lower])
  }
}
