import QuantCore

extension EvaluationResult {
  /// The figures, for documents.
  /// - Parameter simulated: what was rounded in addition to what the checkpoint stores.
  func members(simulated: [JSON.Member] = []) -> [JSON.Member] {
    let run: [JSON.Member] = [
      .init("protocol", .string(self.protocol.rawValue)), .init("context", .int(context)), .init("windows", .int(windows)),
      .init("tokens", .int(tokens)),
    ]
    return run + simulated + EvaluationResult.measures.compactMap { measure in measure.value(self).map { .init(measure.key, .double($0)) } }
  }
}

/// What a model card shows of an evaluation.
extension EvaluationResult {
  /// - Parameters:
  ///   - texts: paths of the texts; the card shows their names.
  ///   - isEncoder: whether vectors are compared.
  static func figures(texts: [String], isEncoder: Bool) -> [Figure] {
    let measured = Figure(id: "windows", title: "measured on " + texts.map { Files.lastComponent($0) }.joined(separator: ", "))
    if isEncoder {
      return [
        measured, Figure(id: "cosine.mean", title: "cosine with the source's vector, mean"),
        Figure(id: "cosine.p1", title: "cosine, first percentile"), Figure(id: "cosine.min", title: "cosine, minimum"),
        Figure(id: "ranks", title: "rank correlation of similarities"),
      ]
    }
    return [
      measured,
      Figure(id: "perplexity", title: "perplexity"), Figure(id: "perplexity.reference", title: "perplexity of the source"),
      Figure(id: "kld.mean", title: "KL divergence from the source, mean (nats)"),
      Figure(id: "kld.p99", title: "KL divergence, 99th percentile"), Figure(id: "top1", title: "same most likely token"),
    ]
  }

  /// The figures by their ids.
  var figures: [String: String] {
    var figures = ["windows": "\(windows) windows of \(context) tokens", "perplexity": perplexity?.text ?? ""]
    if let vectors {
      figures["cosine.mean"] = vectors.cosine.text
      figures["cosine.p1"] = vectors.cosine1.fixed(5)
      figures["cosine.min"] = vectors.cosineMinimum.fixed(5)
      figures["ranks"] = vectors.ranks?.fixed(5) ?? ""
    }
    if let comparison {
      figures["perplexity.reference"] = comparison.perplexity.text
      figures["kld.mean"] = comparison.divergence.text
      figures["kld.p99"] = comparison.divergence99.fixed(5)
      figures["top1"] = comparison.sameTop.text
    }
    return figures
  }
}

extension Estimate {
  /// The value with its standard error.
  var text: String { "\(value.fixed(5)) ± \(standardError.fixed(5))" }
}
