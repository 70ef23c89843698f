import QuantCore

/// The figures that gates are on.
struct Measurements: Sendable {
  /// Size of the checkpoint.
  var byteCount: Int
  var bitsPerWeight: Double
  var evaluation: EvaluationResult?

  /// The keys of all figures.
  static let keys = ["size.bytes", "bits-per-weight"] + EvaluationResult.measures.map { $0.key }

  subscript(key: String) -> Double? {
    switch key {
    case "size.bytes": Double(byteCount)
    case "bits-per-weight": bitsPerWeight
    default: evaluation.flatMap { result in EvaluationResult.measures.first { $0.key == key }?.value(result) }
    }
  }
}

extension EvaluationResult {
  /// The keys of documents and gates, each with its value; nil if it needs a reference and none was given.
  static let measures: [(key: String, value: @Sendable (EvaluationResult) -> Double?)] = [
    ("perplexity", { $0.perplexity?.value }),
    ("perplexity.stderr", { $0.perplexity?.standardError }),
    ("perplexity.reference", { $0.comparison?.perplexity.value }),
    ("sensitivity", { $0.sensitivity.map { Double($0) } }),
    ("kld.mean", { $0.comparison?.divergence.value }),
    ("kld.mean.stderr", { $0.comparison?.divergence.standardError }),
    ("kld.median", { $0.comparison?.divergenceMedian }),
    ("kld.p99", { $0.comparison?.divergence99 }),
    ("kld.max", { $0.comparison?.divergenceMaximum }),
    ("top1", { $0.comparison?.sameTop.value }),
    ("top1.stderr", { $0.comparison?.sameTop.standardError }),
    ("cosine.mean", { $0.vectors?.cosine.value }),
    ("cosine.mean.stderr", { $0.vectors?.cosine.standardError }),
    ("cosine.p1", { $0.vectors?.cosine1 }),
    ("cosine.min", { $0.vectors?.cosineMinimum }),
    ("ranks", { $0.vectors?.ranks }),
  ]

  /// The keys that only encoders have.
  private static let encoderKeys: Set<String> = ["cosine.mean", "cosine.mean.stderr", "cosine.p1", "cosine.min", "ranks"]

  /// Refuses gates on figures that models of this kind do not have.
  static func check(_ gates: [Gate], for model: ModelDescription) throws(Failure) {
    let isEncoder = model.head.pooling != nil
    let ownKeys = Set(measures.map { $0.key })
    try Gate.check(
      gates, measures: { !ownKeys.contains($0) || encoderKeys.contains($0) == isEncoder },
      remedy: isEncoder
        ? "The model is an encoder: use cosine.mean, cosine.p1, cosine.min or ranks."
        : "Only encoders make vectors that can be compared: use perplexity, kld.mean or another figure of predictions.")
  }

  /// The keys that need a reference.
  static let comparisonKeys: Set<String> = Set(measures.map { $0.key }).subtracting(["perplexity", "perplexity.stderr"])
}
