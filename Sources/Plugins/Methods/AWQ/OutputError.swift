import QuantCore

/// The squared error of a layer's output on the calibration text, from the Gram matrix of its input.
enum OutputError {
  /// Rows scored in one piece of work. Part of the definition of the sum's order: not to be made depend on threads.
  private static let pieceRows = 128

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
  static func ofRounding(_ matrix: Matrix, scheme: any Scheme, scales: Scales?, gram: [Float], parallel: Parallel) -> Double {
    let pieces = (matrix.rows + pieceRows - 1) / pieceRows
    var sums = [Double](repeating: 0, count: pieces)
    sums.withUnsafeMutableBufferPointer { sums in
      guard let base = sums.baseAddress else { return }
      let shared = SharedPointer(base)
      parallel.forEach(pieces) { piece in
        let rows = piece * pieceRows..<min(matrix.rows, (piece + 1) * pieceRows)
        shared.base[piece] = matrix.withPanel(rows: rows) { sum(of: $0, scheme: scheme, scales: scales, gram: gram) }
      }
    }
    return sums.reduce(0, +)
  }

  private static func sum(of panel: Panel, scheme: any Scheme, scales: Scales?, gram: [Float]) -> Double {
    let columns = panel.columns
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: (panel.rows * (2 * columns + 1))) { scratch in
      guard let scaled = scratch.baseAddress else { return 0 }
      let delta = scaled + panel.rows * columns
      let forms = delta + panel.rows * columns
      if let scales {
        for row in 0..<panel.rows { multiply(panel.row(row), scales.factors, into: scaled + row * columns) }
        let candidate = Panel(base: scaled, rows: panel.rows, columns: columns, rowStride: columns)
        scheme.roundTrip(candidate, importance: nil, into: delta)
        for row in 0..<panel.rows { multiply(delta + row * columns, scales.inverse, into: delta + row * columns) }
      } else {
        scheme.roundTrip(panel, importance: nil, into: delta)
      }
      for row in 0..<panel.rows { VectorKernels.axpy(-1, panel.row(row), delta + row * columns, count: columns) }
      let error = Panel(base: delta, rows: panel.rows, columns: columns, rowStride: columns)
      LinearAlgebra.quadraticForms(of: error, gram: gram, stride: columns, into: forms)
      return (0..<panel.rows).reduce(0) { $0 + Double(forms[$1]) }
    }
  }

  private static func multiply(_ x: UnsafePointer<Float>, _ factors: [Float], into result: UnsafeMutablePointer<Float>) {
    for i in factors.indices { result[i] = x[i] * factors[i] }
  }
}
