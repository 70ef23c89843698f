import QuantCore

/// The squared error of a layer's output on the calibration text, from the Gram matrix of its input.
enum OutputError {
  /// Smallest number of rows scored at once. It determines the order of the sum, so it must not depend on the number of threads.
  private static let leastPieceRows = 64

  /// Column scales of a candidate, and their reciprocals.
  struct Scales {
    let factors: [Float]
    let inverse: [Float]

    init(_ factors: [Float]) {
      self.factors = factors
      inverse = factors.map { 1 / $0 }
    }
  }

  /// `tr(ΔW·H·ΔWᵀ)` with `ΔW = round(W·s)/s − W`; without scales, `round(W) − W`.
  /// - Parameters:
  ///   - gram: H, of the inputs before they are divided by the scales.
  ///   - rounder: makes the rounder for a scheme.
  static func ofRounding(
    _ matrix: Matrix, scheme: any Scheme, scales: Scales?, gram: [Float], parallel: Parallel,
    rounder: (any Scheme) throws -> any Rounder
  ) rethrows -> Double {
    let scheme = scheme.sharedScale?.fitted(largestMagnitude: largestMagnitude(matrix, scales: scales)) ?? scheme
    let rounding = Rounding(scheme: scheme, rounder: try rounder(scheme))
    // Whole tiles: tiles of several rows are not cut.
    let tileRows = scheme.grid.tileRows ?? 1
    let pieceRows = (leastPieceRows + tileRows - 1) / tileRows * tileRows
    let pieces = (matrix.rows + pieceRows - 1) / pieceRows
    var sums = [Double](repeating: 0, count: pieces)
    sums.withUnsafeMutableBufferPointer { sums in
      guard let base = sums.baseAddress else { return }
      let shared = SharedPointer(base)
      parallel.forEach(pieces) { piece in
        let rows = piece * pieceRows..<min(matrix.rows, (piece + 1) * pieceRows)
        shared.base[piece] = matrix.withPanel(rows: rows) { sum(of: $0, rows: rows, rounding, scales: scales, gram: gram) }
      }
    }
    return sums.reduce(0, +)
  }

  private struct Rounding: Sendable {
    let scheme: any Scheme
    let rounder: any Rounder

    func values(_ panel: Panel, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
      // The scheme's own rule needs no detour through codes.
      if let plain = rounder as? WeightedRounder { return scheme.roundTrip(panel, importance: plain.importance, into: destination) }
      var quantized = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
      rounder.round(panel, rows: Array(rows), into: &quantized)
      scheme.value(quantized, columns: 0..<panel.columns, into: destination)
    }
  }

  private static func sum(
    of panel: Panel, rows: Range<Int>, _ rounding: Rounding, scales: Scales?, gram: [Float]
  ) -> Double {
    let columns = panel.columns
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: (panel.rows * (2 * columns + 1))) { scratch in
      guard let scaled = scratch.baseAddress else { return 0 }
      let delta = scaled + panel.rows * columns
      let forms = delta + panel.rows * columns
      if let scales {
        for row in 0..<panel.rows { multiply(panel.row(row), scales.factors, into: scaled + row * columns) }
        let candidate = Panel(base: scaled, rows: panel.rows, columns: columns, rowStride: columns)
        rounding.values(candidate, rows: rows, into: delta)
        for row in 0..<panel.rows { multiply(delta + row * columns, scales.inverse, into: delta + row * columns) }
      } else {
        rounding.values(panel, rows: rows, into: delta)
      }
      for row in 0..<panel.rows { VectorKernels.axpy(-1, panel.row(row), delta + row * columns, count: columns) }
      let error = Panel(base: delta, rows: panel.rows, columns: columns, rowStride: columns)
      LinearAlgebra.quadraticForms(of: error, gram: gram, stride: columns, into: forms)
      return (0..<panel.rows).reduce(0) { $0 + Double(forms[$1]) }
    }
  }

  /// The largest |w·s|, to which a scale of the whole matrix is fitted.
  private static func largestMagnitude(_ matrix: Matrix, scales: Scales?) -> Float {
    var largest: Float = 0
    for row in 0..<matrix.rows {
      for c in 0..<matrix.columns { largest = max(largest, abs(matrix[row, c] * (scales?.factors[c] ?? 1))) }
    }
    return largest
  }

  private static func multiply(_ x: UnsafePointer<Float>, _ factors: [Float], into result: UnsafeMutablePointer<Float>) {
    for i in factors.indices { result[i] = x[i] * factors[i] }
  }
}
