import QuantCore

/// The search for alpha, the share of the outliers that moves into the weights of one norm's consumers.
struct AlphaSearch {
  /// A layer that reads the channels, with the tokens that reach it.
  struct Consumer {
    let matrix: Matrix
    let weights: any Scheme
    let activations: ActivationScheme
    /// `[tokens, channels]`.
    let inputs: Matrix
    /// Range of each channel, for stored scales.
    let statistics: SiteStatistics
  }

  /// The winner: alpha is nil if nothing beat the identity.
  struct Outcome {
    var alpha: Double?
    /// Squared output error relative to plain rounding; nil if it was not measured.
    var ratio: Double?
  }

  /// Candidates are multiples of 1 / `steps`.
  private static let steps = 20

  let magnitudes: ChannelMagnitudes
  let consumers: [Consumer]
  let parallel: Parallel

  /// The layers of a fold whose weights or inputs will be rounded. If the whole block stays unquantized, the output is
  /// meant for a client that rounds it later: then the search assumes 8-bit integers.
  static func consumers(_ fold: Fold, _ block: BlockWorkspace) throws -> [Consumer] {
    let isUnquantized = block.schemes.isEmpty
    var consumers: [Consumer] = []
    for site in fold.sites {
      guard let statistics = block.statistics[site], let sample = statistics.sample, sample.count > 0 else { continue }
      let inputs = Matrix(rows: sample.count, columns: sample.channels, values: sample.values)
      for layer in block.graph.consumers(of: site) {
        guard let matrix = block.matrices[layer] else { continue }
        guard let scheme = try block.schemes[layer] ?? (isUnquantized ? block.schemeNamed("int8-channel") : nil) else { continue }
        consumers.append(
          Consumer(
            matrix: matrix, weights: scheme, activations: block.activations[layer] ?? .int8Token, inputs: inputs, statistics: statistics))
      }
    }
    return consumers
  }

  func run() -> Outcome {
    let references = consumers.map { Matrix.multiplyTransposed($0.inputs, $0.matrix, parallel: parallel) }
    let plain = loss([Float](repeating: 1, count: magnitudes.activations.count), references)
    var best = Outcome(alpha: nil, ratio: 1)
    var bestLoss = plain
    for step in 0...AlphaSearch.steps {
      let alpha = Double(step) / Double(AlphaSearch.steps)
      let loss = loss(magnitudes.scales(alpha: alpha), references)
      if loss < bestLoss {
        bestLoss = loss
        best = Outcome(alpha: alpha, ratio: loss / plain)
      }
    }
    return best
  }

  /// `Σ ‖Qa(x/s)·Qw(W·s)ᵀ − x·Wᵀ‖²` over the layers.
  private func loss(_ scales: [Float], _ references: [Matrix]) -> Double {
    let inverse = scales.map { 1 / $0 }
    var total = 0.0
    for (consumer, reference) in zip(consumers, references) {
      var inputs = consumer.inputs.scalingColumns(by: inverse)
      inputs.round(with: rounding(consumer, inverse), parallel: parallel)
      let weights = consumer.matrix.scalingColumns(by: scales).rounded(to: consumer.weights, parallel: parallel)
      let outputs = Matrix.multiplyTransposed(inputs, weights, parallel: parallel)
      for i in outputs.values.indices {
        let difference = Double(outputs.values[i] - reference.values[i])
        total += difference * difference
      }
    }
    return total
  }

  private func rounding(_ consumer: Consumer, _ inverse: [Float]) -> ActivationRounding {
    guard consumer.activations.isStatic else { return ActivationRounding(consumer.activations) }
    let statistics = consumer.statistics
    let minimum = zip(statistics.minimum, inverse).map { $0 * $1 }.min() ?? 0
    let maximum = zip(statistics.maximum, inverse).map { $0 * $1 }.max() ?? 0
    return ActivationRounding(consumer.activations, minimum: minimum, maximum: maximum)
  }
}
