import QuantCore

/// Largest magnitudes per channel of a fold's site: of the activations, and of the weights that read them.
struct ChannelMagnitudes {
  let activations: [Float]
  let weights: [Float]

  /// Lower bound of the magnitudes, so that the quotient of powers stays finite.
  private static let floor: Float = 1e-5

  /// Nil if nothing was observed, or a magnitude is not finite.
  init?(_ fold: Fold, _ block: BlockWorkspace) {
    guard let first = block.statistics[fold.site], first.tokens > 0 else { return nil }
    var activations = [Float](repeating: 0, count: first.channels)
    for statistics in fold.sites.compactMap({ block.statistics[$0] }) where statistics.tokens > 0 {
      for c in activations.indices { activations[c] = max(activations[c], abs(statistics.minimum[c]), abs(statistics.maximum[c])) }
    }
    var weights = [Float](repeating: 0, count: first.channels)
    for matrix in block.graph.consumers(of: fold).compactMap({ block.matrices[$0] }) {
      for row in 0..<matrix.rows {
        for c in weights.indices { weights[c] = max(weights[c], abs(matrix.values[row * matrix.columns + c])) }
      }
    }
    guard (activations + weights).allSatisfy({ $0.isFinite }) else { return nil }
    self.activations = activations
    self.weights = weights
  }

  /// One positive scale per channel. A dead channel keeps 1: nothing is known about it.
  func scales(alpha: Double) -> [Float] {
    activations.indices.map { c in
      guard activations[c] > 0 else { return 1 }
      let numerator = Power.of(max(activations[c], ChannelMagnitudes.floor), Float(alpha))
      return max(numerator / Power.of(max(weights[c], ChannelMagnitudes.floor), Float(1 - alpha)), ChannelMagnitudes.floor)
    }
  }

  /// The ratio of the largest channel to the median one, for reports.
  func spread(dividedBy scales: [Float]? = nil) -> Double {
    let sorted = activations.indices.map { activations[$0] / (scales?[$0] ?? 1) }.sorted()
    guard let largest = sorted.last, sorted[sorted.count / 2] > 0 else { return 0 }
    return (Double(largest / sorted[sorted.count / 2]) * 10).rounded() / 10
  }
}
