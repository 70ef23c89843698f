import QuantCore

/// What gates look at.
struct Measurements: Sendable {
  /// Size of the checkpoint.
  var byteCount: Int
  var bitsPerWeight: Double
  var evaluation: EvaluationResult?

  /// Everything that can be asked for.
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
  /// The keys of documents and gates, each with its value; nil where no reference was given.
  static let measures: [(key: String, value: @Sendable (EvaluationResult) -> Double?)] = [
    ("perplexity", { $0.perplexity.value }),
    ("perplexity.stderr", { $0.perplexity.standardError }),
    ("perplexity.reference", { $0.comparison?.perplexity.value }),
    ("kld.mean", { $0.comparison?.divergence.value }),
    ("kld.mean.stderr", { $0.comparison?.divergence.standardError }),
    ("kld.median", { $0.comparison?.divergenceMedian }),
    ("kld.p99", { $0.comparison?.divergence99 }),
    ("kld.max", { $0.comparison?.divergenceMaximum }),
    ("top1", { $0.comparison?.sameTop.value }),
    ("top1.stderr", { $0.comparison?.sameTop.standardError }),
  ]

  /// Those of them that need a reference.
  static let comparisonKeys: Set<String> = Set(measures.map { $0.key }).subtracting(["perplexity", "perplexity.stderr"])
}
