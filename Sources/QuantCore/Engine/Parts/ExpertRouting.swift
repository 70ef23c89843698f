import QuantPlatform

/// Which experts a token visits, and how their outputs are weighted.
public struct ExpertRouting: Sendable, Hashable {
  /// How the router's products become weights.
  public enum Weights: Sendable, Hashable {
    /// The softmax over the chosen experts: the same as the softmax over all experts, normalized again.
    case softmaxOfChosen
    /// The softmax over all experts; experts that were not chosen are left out.
    case softmax
    /// The logistic function of each product.
    case sigmoid
    /// The same, divided by the sum over the chosen experts.
    case normalisedSigmoid
    /// SparseMixer (arXiv:2409.12136): each expert is weighted by a softmax of its own, over those of the experts not chosen before it
    /// whose products are not smaller than its own by more than a share of the larger magnitude.
    case sparseMixer(share: Float)
  }

  /// Restricts the choice of experts to the best groups.
  public struct Groups: Sendable, Hashable {
    /// Number of groups; each has the same number of consecutive experts.
    public var count: Int
    /// How many groups are kept for a token.
    public var chosen: Int
    /// The score of a group is the sum of the scores of this many of its best experts.
    public var scoredBy: Int

    public init(count: Int, chosen: Int, scoredBy: Int) {
      self.count = count
      self.chosen = chosen
      self.scoredBy = scoredBy
    }
  }

  /// How many experts a token visits: those with the highest scores; of equal scores, the first.
  public var expertsPerToken: Int
  /// How they are weighted.
  public var weights: Weights
  /// Whether a vector is added to the scores when experts are chosen, but not when they are weighted.
  public var hasCorrection = false
  /// Nil: experts are chosen from all groups.
  public var groups: Groups?
  /// The factor that weights are multiplied by.
  public var scale: Float = 1
  /// Whether the weight of each expert is multiplied by a value of its own.
  public var scalesExperts = false
  /// Whether the weight of an expert multiplies what it reads instead of what it gives.
  public var weighsInput = false

  public init(
    expertsPerToken: Int, weights: Weights, hasCorrection: Bool = false, groups: Groups? = nil, scale: Float = 1
  ) {
    self.expertsPerToken = expertsPerToken
    self.weights = weights
    self.hasCorrection = hasCorrection
    self.groups = groups
    self.scale = scale
  }

  struct Visit {
    var token: Int
    var weight: Float
  }

  /// - Parameters:
  ///   - scores: the router's products, `[tokens, experts]`.
  ///   - correction: one value per expert, or nil.
  ///   - factors: of the weight of each expert, or nil.
  /// - Returns: the visits of each expert, in the order of the tokens.
  func visits(scores: Matrix, correction: [Float]?, factors: [Float]? = nil) -> [[Visit]] {
    var visits = [[Visit]](repeating: [], count: scores.columns)
    for token in 0..<scores.rows {
      let row = Array(scores.values[token * scores.columns..<(token + 1) * scores.columns])
      let (chosen, weights) = choose(row, correction)
      for (expert, weight) in zip(chosen, weights) {
        visits[expert].append(Visit(token: token, weight: weight * (factors?[expert] ?? 1)))
      }
    }
    return visits
  }

  /// The experts of one token and their weights.
  private func choose(_ products: [Float], _ correction: [Float]?) -> (experts: [Int], weights: [Float]) {
    let probabilities: [Float]
    switch weights {
    case .softmaxOfChosen where correction == nil && groups?.scoredBy ?? 1 == 1: probabilities = products
    case .sparseMixer: probabilities = products
    case .softmaxOfChosen, .softmax: probabilities = ExpertRouting.softmax(products)
    case .sigmoid, .normalisedSigmoid: probabilities = products.map(\.sigmoid)
    }
    var scores = probabilities
    if let correction { for e in scores.indices { scores[e] += correction[e] } }
    let candidates = groups.map { self.candidates($0, scores) } ?? Array(scores.indices)
    let chosen = Array(candidates.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }.prefix(expertsPerToken))
    var result: [Float]
    switch weights {
    case .softmaxOfChosen: result = ExpertRouting.softmax(chosen.map { products[$0] })
    case .softmax, .sigmoid: result = chosen.map { probabilities[$0] }
    case .normalisedSigmoid:
      let sum = chosen.reduce(Float(1e-20)) { $0 + probabilities[$1] }
      result = chosen.map { probabilities[$0] / sum }
    case .sparseMixer(let share):
      result = chosen.indices.map { round in
        let best = products[chosen[round]]
        let near = products.indices.filter { e in
          !chosen[..<round].contains(e) && (best - products[e]) / max(abs(products[e]), best) <= share
        }
        return 1 / near.reduce(Float(0)) { $0 + (products[$1] - best).exponential }
      }
    }
    if scale != 1 { for i in result.indices { result[i] *= scale } }
    return (chosen, result)
  }

  /// The experts of the best groups, in increasing order.
  private func candidates(_ groups: Groups, _ scores: [Float]) -> [Int] {
    let size = max(1, scores.count / max(1, groups.count))
    let sums = (0..<groups.count).map { group in
      scores[group * size..<(group + 1) * size].sorted(by: >).prefix(groups.scoredBy).reduce(0, +)
    }
    let best = sums.indices.sorted { sums[$0] != sums[$1] ? sums[$0] > sums[$1] : $0 < $1 }.prefix(groups.chosen)
    return best.sorted().flatMap { $0 * size..<($0 + 1) * size }
  }

  private static func softmax(_ values: [Float]) -> [Float] {
    var values = values
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { VectorKernels.softmax(base, count: buffer.count) }
    }
    return values
  }
}
