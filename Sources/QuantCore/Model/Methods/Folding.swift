extension BlockWorkspace {
  /// Folds scales into a block: `y = (W·diag s)(diag(1/s)·x)`.
  ///
  /// The columns of every consumer are multiplied, the channels of the producer are divided, and the statistics of the site are
  /// adjusted. What the block computes does not change.
  /// - Parameter scales: one positive scale per channel of the fold's site; for `valueRows`, equal for all query heads that share a
  ///   key-value head (see `tied`).
  public mutating func apply(_ fold: Fold, scales: [Float]) {
    for layer in graph.consumers(of: fold) {
      guard let matrix = matrices[layer] else { continue }
      matrices[layer] = matrix.scalingColumns(by: scales)
      // Importance is the mean square of inputs, which are divided.
      if let given = importance[layer] { importance[layer] = zip(given, scales).map { $0 / ($1 * $1) } }
    }
    switch fold.producer {
    case .norm(let role):
      divideVector(TensorID(role, block: index), by: scales)
      divideVector(TensorID(role, block: index, isBias: true), by: scales)
    case .rows(let layer):
      divideRows(of: layer, by: scales, produced: fold.produced)
    case .valueRows(let layer, let queryHeads, let keyValueHeads):
      divideRows(of: layer, by: Fold.headScales(scales, queryHeads: queryHeads, keyValueHeads: keyValueHeads), produced: fold.produced)
    }
    for site in fold.sites { statistics[site]?.divide(by: scales) }
  }

  private mutating func divideVector(_ id: TensorID, by scales: [Float]) {
    guard let vector = vectors[id] else { return }
    vectors[id] = zip(vector, scales).map { $0 / $1 }
  }

  private mutating func divideRows(of layer: Layer, by scales: [Float], produced: Site?) {
    if var matrix = matrices.removeValue(forKey: layer) {
      for row in 0..<matrix.rows {
        let scale = scales[row]
        for column in 0..<matrix.columns { matrix.values[row * matrix.columns + column] /= scale }
      }
      matrices[layer] = matrix
    }
    divideVector(TensorID(layer, block: index, isBias: true), by: scales)
    if let produced { statistics[produced]?.divide(by: scales) }
  }
}

extension Fold {
  /// Adjusts scales so that this fold can apply them: query heads that share a key-value head get their mean.
  public func tied(_ scales: [Float]) -> [Float] {
    guard case .valueRows(_, let queryHeads, let keyValueHeads) = producer, queryHeads != keyValueHeads else { return scales }
    let headSize = scales.count / queryHeads
    let sharing = queryHeads / keyValueHeads
    var tied = scales
    for head in 0..<keyValueHeads {
      for c in 0..<headSize {
        var sum: Float = 0
        for r in 0..<sharing { sum += scales[(head * sharing + r) * headSize + c] }
        for r in 0..<sharing { tied[(head * sharing + r) * headSize + c] = sum / Float(sharing) }
      }
    }
    return tied
  }

  /// One scale per row of the value projection, from tied scales per channel of the attention output.
  static func headScales(_ scales: [Float], queryHeads: Int, keyValueHeads: Int) -> [Float] {
    let headSize = scales.count / queryHeads
    let sharing = queryHeads / keyValueHeads
    var result = [Float](repeating: 1, count: keyValueHeads * headSize)
    for head in 0..<keyValueHeads {
      for c in 0..<headSize { result[head * headSize + c] = scales[head * sharing * headSize + c] }
    }
    return result
  }
}

extension Matrix {
  /// Every column multiplied by its scale.
  public func scalingColumns(by scales: [Float]) -> Matrix {
    var result = self
    for row in 0..<rows {
      for column in 0..<columns { result.values[row * columns + column] *= scales[column] }
    }
    return result
  }
}
