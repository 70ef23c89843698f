import QuantCore

/// The search for one scale per channel of a site, for all linear layers that read it.
struct ScaleSearch {
  /// Rounding with feedback is slower than rounding to nearest, and depends less on the scales: only every fourth candidate is tried.
  private static let coarsening = 4

  struct Consumer {
    let layer: Layer
    let matrix: Matrix
    let scheme: any Scheme
  }

  /// The winner. `scales` is nil if nothing beat the identity.
  struct Outcome {
    var scales: [Float]?
    var alpha: Double
    var isDuo: Bool
    /// Squared output error of the winner relative to plain rounding.
    var ratio: Double

    var description: String {
      guard scales != nil else { return "no scaling beats plain rounding" }
      // Rounding errors can make a squared error of almost zero negative.
      let percent = Int((min(1, max(0, ratio)) * 100).rounded())
      return "alpha \(alpha)\(isDuo ? " with weight magnitudes" : ""), error \(percent) % of plain rounding"
    }
  }

  let consumers: [Consumer]
  let statistics: SiteStatistics
  let fold: Fold
  let gridSize: Int
  let duo: Bool
  let weighsFit: Bool
  /// Whether scales must save much: sites that one candidate does not help much are left as they are.
  let onlyLoud: Bool
  /// Number of the block.
  let block: Int
  /// The rounder of the methods that follow in the chain.
  let rounderBehind: @Sendable (RoundingTask) throws -> (any Rounder)?
  let parallel: Parallel

  /// Of the error, this much must remain at most where only loud sites are scaled.
  private static let loudRatio = 0.8
  /// The candidate that is tried first there.
  private static let probe = 0.5
  /// How many rows of a layer are enough to see whether that is so.
  static let sampledRows = 128

  func run() throws -> Outcome {
    let plain = try loss(scales: nil)
    var best = Outcome(scales: nil, alpha: 0, isDuo: false, ratio: 1)
    var bestLoss = plain
    if onlyLoud {
      guard let scales = candidate(alpha: ScaleSearch.probe, magnitudes: nil) else { return best }
      let loss = try loss(scales: scales)
      guard loss < ScaleSearch.loudRatio * plain else { return best }
      best = Outcome(scales: scales, alpha: ScaleSearch.probe, isDuo: false, ratio: loss / plain)
      bestLoss = loss
    }
    let gridSize = try isRoundedBehind() ? max(1, self.gridSize / ScaleSearch.coarsening) : self.gridSize
    let magnitudes = duo ? weightMagnitudes() : nil
    for isDuo in duo ? [false, true] : [false] {
      for step in 0..<gridSize {
        let alpha = Double(step) / Double(gridSize)
        // Alpha 0 without magnitudes is the identity, which has been scored already.
        if step == 0 && !isDuo { continue }
        guard let scales = candidate(alpha: alpha, magnitudes: isDuo ? magnitudes : nil) else { continue }
        let loss = try loss(scales: scales)
        if loss < bestLoss {
          bestLoss = loss
          best = Outcome(scales: scales, alpha: alpha, isDuo: isDuo, ratio: plain > 0 ? loss / plain : 1)
        }
      }
    }
    return best
  }

  /// `s = mean|x|^α` (divided by `w̄^(1-α)` if magnitudes are given), at least 1e-4, normalised so that the largest and
  /// the smallest are each other's reciprocals, and tied if the fold requires it. A dead channel may be active on other text:
  /// it keeps 1, so that its weights are not rounded away. Nil if a scale is not finite, or all channels were dead.
  private func candidate(alpha: Double, magnitudes: [Float]?) -> [Float]? {
    var scales = [Float](repeating: 1, count: statistics.channels)
    let active = (0..<statistics.channels).filter { statistics.meanAbsolute[$0] > 0 }
    for c in active {
      // The lower bound keeps the power finite.
      var scale = Power.of(max(statistics.meanAbsolute[c], 1e-8), Float(alpha))
      if let magnitudes { scale /= Power.of(magnitudes[c], Float(1 - alpha)) + 1e-4 }
      scales[c] = max(scale, 1e-4)
    }
    guard let middle = ScaleSearch.middle(active.map { scales[$0] }) else { return nil }
    if active.count < scales.count {
      for c in scales.indices where !(statistics.meanAbsolute[c] > 0) { scales[c] = middle }
    }
    scales = fold.tied(scales)
    guard let middle = ScaleSearch.middle(scales) else { return nil }
    for c in scales.indices { scales[c] /= middle }
    return scales.allSatisfy { $0.isFinite && $0 > 0 } ? scales : nil
  }

  /// The geometric mean of the largest and the smallest.
  private static func middle(_ scales: [Float]) -> Float? {
    guard let largest = scales.max(), let smallest = scales.min() else { return nil }
    return (largest * smallest).squareRoot()
  }

  /// `w̄`: mean over output rows of `|w| / max |w| of the group`.
  private func weightMagnitudes() -> [Float] {
    var sums = [Float](repeating: 0, count: statistics.channels)
    var rows = 0
    for consumer in consumers {
      let matrix = consumer.matrix
      let length = min(128, consumer.scheme.groupLength(columns: matrix.columns))
      rows += matrix.rows
      for row in 0..<matrix.rows {
        for start in stride(from: 0, to: matrix.columns, by: length) {
          let end = min(start + length, matrix.columns)
          var largest: Float = 0
          for c in start..<end { largest = max(largest, abs(matrix[row, c])) }
          let inverse = 1 / (largest + 1e-6)
          for c in start..<end { sums[c] += abs(matrix[row, c]) * inverse }
        }
      }
    }
    return sums.map { $0 / Float(max(1, rows)) }
  }

  /// `Σ tr(ΔW·H·ΔWᵀ)` over the consumers, where `ΔW = round(W·s)/s − W`.
  private func loss(scales: [Float]?) throws -> Double {
    var scaled = statistics
    // The weights would be moved towards another output: what counts is how far rounding takes them from their own.
    scaled.cross = []
    if let scales { scaled.divide(by: scales) }
    let importance = weighsFit ? scaled.importance : nil
    let scales = scales.map { OutputError.Scales($0) }
    return try consumers.reduce(0) { total, consumer in
      total
        + (try OutputError.ofRounding(
          consumer.matrix, scheme: consumer.scheme, scales: scales, gram: statistics.gram, parallel: parallel
        ) { try rounder(consumer, $0, scaled) ?? WeightedRounder(scheme: $0, importance: importance) })
    }
  }

  private func rounder(_ consumer: Consumer, _ scheme: any Scheme, _ statistics: SiteStatistics) throws -> (any Rounder)? {
    let id = TensorID(consumer.layer, block: block)
    return try rounderBehind(
      RoundingTask(id: id, name: "\(id.role)", scheme: scheme, statistics: statistics, parallel: parallel))
  }

  private func isRoundedBehind() throws -> Bool {
    try consumers.contains { try rounder($0, $0.scheme, statistics) != nil }
  }
}

extension Matrix {
  /// Rows that are spread evenly over the matrix, at least `count` of them if it has so many.
  /// - Parameter together: rows that are rounded together are taken together.
  func sample(ofRows count: Int, together tileRows: Int) -> Matrix {
    let tiles = rows / tileRows
    let wanted = (count + tileRows - 1) / tileRows
    guard wanted < tiles else { return self }
    var values: [Float] = []
    values.reserveCapacity(wanted * tileRows * columns)
    for i in 0..<wanted {
      let first = i * tiles / wanted * tileRows
      withPanel(rows: first..<first + tileRows) { panel in
        for row in 0..<tileRows { values += UnsafeBufferPointer(start: panel.row(row), count: columns) }
      }
    }
    return Matrix(rows: wanted * tileRows, columns: columns, values: values)
  }
}
