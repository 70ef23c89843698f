/// A model as one text, in which every number and every edge of the graph stands that changes what flows through it.
extension ModelDescription {
  /// The same for equal models, another one for models that compute something else. Tensors are not part of it.
  package var canonicalText: String {
    let linears = block.linears.map { "\($0.layer.text) reads \($0.input.name)" }
    return ["family \(family)", parameters.canonicalText, linears.joined(separator: ", ")].joined(separator: "\n")
  }
}

extension HyperParameters {
  /// Every field, under its name. A test holds this against the fields that there are.
  package var canonicalText: String {
    let fields: [(name: String, value: String)] = [
      ("hiddenSize", "\(hiddenSize)"), ("blockCount", "\(blockCount)"), ("headCount", "\(headCount)"),
      ("keyValueHeadCount", "\(keyValueHeadCount)"), ("headSize", "\(headSize)"), ("feedForwardSize", "\(feedForwardSize)"),
      ("vocabularySize", "\(vocabularySize)"), ("contextLength", "\(contextLength)"), ("normEpsilon", "\(normEpsilon)"),
      ("norm", norm.text), ("normPlacement", normPlacement.text), ("keepsNormedResidual", "\(keepsNormedResidual)"),
      ("positions", positions.text), ("rope", rope.text), ("activation", activation.rawValue), ("isGated", "\(isGated)"),
      ("expertCount", "\(expertCount)"), ("expertsPerToken", "\(expertsPerToken)"),
      ("embeddingSize", embeddingSize.map { "\($0)" } ?? "none"), ("slidingWindow", slidingWindow.map { "\($0)" } ?? "none"),
      ("tiesEmbeddings", "\(tiesEmbeddings)"), ("statesHeadSize", "\(statesHeadSize)"),
    ]
    return fields.map { "\($0.name) \($0.value)" }.joined(separator: "\n")
  }
}

extension Layer {
  fileprivate var text: String { role.rawValue + (expert.map { " \($0)" } ?? "") }
}

extension Norm {
  fileprivate var text: String {
    switch self {
    case .rootMeanSquare: "root mean square"
    case .layer: "layer"
    }
  }
}

extension NormPlacement {
  fileprivate var text: String {
    switch self {
    case .before: "before"
    case .after: "after"
    }
  }
}

extension Positions {
  fileprivate var text: String {
    switch self {
    case .rotary: "rotary"
    case .learned(let offset): "learned from \(offset)"
    case .linearBias: "linear bias"
    }
  }
}

extension Rope {
  fileprivate var text: String { "theta \(theta), dimension \(dimension), scaling \(scaling.text)" }
}

extension Rope.Scaling {
  fileprivate var text: String {
    switch self {
    case .none: "none"
    case .linear(let factor): "linear \(factor)"
    case .llama3(let factor, let low, let high, let context): "llama3 \(factor) \(low) \(high) \(context)"
    case .factors(let factors): "factors " + factors.map { "\($0)" }.joined(separator: " ")
    }
  }
}
