public import QuantCore

extension Rope {
  /// Why llama.cpp would rotate otherwise in an architecture for which its converter writes no table of factors; nil: it would not.
  public func obstacle(_ architecture: String) -> String? {
    switch scaling {
    case .none, .linear, .yarn, .dynamic: nil
    case .long: "llama.cpp has no tables of LongRoPE in '\(architecture)'"
    case .llama3, .proportional, .factors:
      "llama.cpp has no rotary factors in '\(architecture)', but this model scales its frequencies by a table"
    }
  }
}

extension Rope {
  /// What llama.cpp computes differently from this rule, because a GGUF has no key for it; nil: nothing.
  public var caution: String? {
    switch scaling {
    case .yarn(let yarn) where !yarn.hasUsualFactor || !yarn.isRounded:
      "llama.cpp computes YaRN's factor itself and rounds the ends of its ramp, but this model states otherwise: its"
        + " logits differ"
    case .dynamic(_, let context):
      "llama.cpp does not scale positions dynamically: texts of more than \(context) tokens get other logits"
    case .none, .linear, .llama3, .proportional, .factors, .yarn, .long: nil
    }
  }
}

extension Rope.Long {
  /// What llama.cpp computes differently with such tables.
  public var caution: String {
    "llama.cpp chooses LongRoPE's factors by the size of its context, not by the length of the text: give it a context of at most"
      + " \(originalContext) tokens for texts up to that length"
  }
}

extension DecoderNumbers {
  /// Why llama.cpp would not load or compute a model with these numbers; nil: it does.
  /// - Parameters:
  ///   - rope: the rotary embedding, for an architecture without a table of factors in its GGUF.
  ///   - activation: the function of the model.
  ///   - known: the only function that llama.cpp has for the architecture.
  ///   - lacksBiases: whether the model has none of the biases that llama.cpp needs.
  ///   - needsOutput: whether llama.cpp needs an output matrix.
  ///   - dividesHidden: whether llama.cpp divides the hidden size by the heads.
  public func obstacle(
    _ architecture: String, rope: Rope, _ activation: Activation = .silu, known: Activation = .silu, lacksBiases: Bool = false,
    needsOutput: Bool = false, dividesHidden: Bool = true
  ) -> String? {
    if let obstacle = rope.obstacle(architecture) { return obstacle }
    if activation != known { return "llama.cpp has another activation in '\(architecture)' than this model" }
    if lacksBiases { return "llama.cpp needs biases in a GGUF of '\(architecture)', but this model has none" }
    if dividesHidden, !headsFillWidth {
      return "llama.cpp expects heads in '\(architecture)' that divide the hidden size among them"
    }
    if needsOutput, tiesEmbeddings {
      return "llama.cpp needs an output matrix in a GGUF of '\(architecture)', but this model ties its output to the embedding"
    }
    return nil
  }
}
