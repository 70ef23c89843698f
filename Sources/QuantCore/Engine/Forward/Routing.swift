/// Which experts each token visits, and with what weight.
///
/// A token goes to the experts of the highest scores (of equals, the first), weighted with the softmax of the scores over these:
/// the same as the softmax over all experts, normalised again.
struct Routing {
  struct Visit {
    var token: Int
    var weight: Float
  }

  /// By expert, in the order of the tokens.
  private let visits: [[Visit]]

  /// - Parameter scores: `[tokens, experts]`.
  init(scores: Matrix, expertsPerToken: Int) {
    var visits = [[Visit]](repeating: [], count: scores.columns)
    for token in 0..<scores.rows {
      let row = Array(scores.values[token * scores.columns..<(token + 1) * scores.columns])
      let chosen = row.indices.sorted { row[$0] != row[$1] ? row[$0] > row[$1] : $0 < $1 }.prefix(expertsPerToken)
      var weights = chosen.map { row[$0] }
      weights.withUnsafeMutableBufferPointer { buffer in
        if let base = buffer.baseAddress { VectorKernels.softmax(base, count: buffer.count) }
      }
      for (expert, weight) in zip(chosen, weights) { visits[expert].append(Visit(token: token, weight: weight)) }
    }
    self.visits = visits
  }

  func visits(of expert: Int) -> [Visit] { visits.indices.contains(expert) ? visits[expert] : [] }
}
