import QuantCore

/// The squared error of a layer's output on the calibration text, from the Gram matrix of its input.
enum OutputError {
  /// Least number of rows scored in one piece of work. Part of the definition of the sum's order: not to be made depend on threads.
  private static let leastPieceRows = 64

  /// `tr(ΔW·H·ΔWᵀ)` with `ΔW = round(candidate)·diag(columnFactors) − original`.
  static func ofRounding(
    original: Matrix, candidate: Matrix, scheme: any Scheme, columnFactors: [Float]?, gram: [Float], parallel: Parallel
  ) -> Double {
    let columns = original.columns
    let scheme = scheme.grid.tileRows == nil
      ? scheme.fitted(largestMagnitude: candidate.values.reduce(0) { max($0, abs($1)) }) : scheme
    // Whole tiles: blocks of several rows are not cut.
    let tileRows = scheme.grid.tileRows ?? 1
    let pieceRows = (leastPieceRows + tileRows - 1) / tileRows * tileRows
    let pieces = (original.rows + pieceRows - 1) / pieceRows
    var sums = [Double](repeating: 0, count: pieces)
    sums.withUnsafeMutableBufferPointer { sums in
      guard let base = sums.baseAddress else { return }
      let shared = SharedPointer(base)
      parallel.forEach(pieces) { piece in
        let rows = piece * pieceRows..<min(original.rows, (piece + 1) * pieceRows)
        var delta = [Float](repeating: 0, count: rows.count * columns)
        delta.withUnsafeMutableBufferPointer { buffer in
          guard let destination = buffer.baseAddress else { return }
          candidate.withPanel(rows: rows) { scheme.roundTrip($0, importance: nil, into: destination) }
        }
        subtract(original, rows: rows, columnFactors: columnFactors, from: &delta)
        shared.base[piece] = quadraticForm(delta, rows: rows.count, columns: columns, gram: gram)
      }
    }
    return sums.reduce(0, +)
  }

  private static func subtract(_ original: Matrix, rows: Range<Int>, columnFactors: [Float]?, from delta: inout [Float]) {
    let columns = original.columns
    for (local, row) in rows.enumerated() {
      for c in 0..<columns {
        let factor = columnFactors?[c] ?? 1
        delta[local * columns + c] = delta[local * columns + c] * factor - original.values[row * columns + c]
      }
    }
  }

  /// `Σ_rows d·H·dᵀ`.
  private static func quadraticForm(_ delta: [Float], rows: Int, columns: Int, gram: [Float]) -> Double {
    let single = Parallel(threads: 1)
    // H is symmetric, so multiplying by its transpose is multiplying by H.
    let product = Matrix.multiplyTransposed(
      Matrix(rows: rows, columns: columns, values: delta), Matrix(rows: columns, columns: columns, values: gram),
      parallel: single
    ).values
    var total = 0.0
    for row in 0..<rows {
      var sum: Float = 0
      for c in row * columns..<(row + 1) * columns { sum += delta[c] * product[c] }
      total += Double(sum)
    }
    return total
  }
}
