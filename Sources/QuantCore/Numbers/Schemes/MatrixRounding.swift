import CKernels

extension Matrix {
  /// The weights after rounding to a scheme. Rows are rounded in parallel, in pieces of whole tiles.
  public func rounded(to scheme: any Scheme, parallel: Parallel) -> Matrix {
    var scheme = scheme
    if let shared = scheme.sharedScale { scheme = shared.fitted(largestMagnitude: VectorKernels.largestMagnitude(values)) }
    let nesting = scheme.nesting?.fitted(tileMagnitudes: tileMagnitudes(length: scheme.groupLength(columns: columns)))
    let fitted = nesting ?? scheme
    let tileRows = fitted.grid.tileRows ?? 1
    let piece = max(1, (1 << 18) / max(1, columns * tileRows)) * tileRows
    var result = Matrix(rows: rows, columns: columns)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(rows, piece: piece) { rows in
        withPanel(rows: rows) { panel in
          let destination = target.base + rows.lowerBound * columns
          guard let nesting else { return fitted.roundTrip(panel, importance: nil, into: destination) }
          var quantized = fitted.emptyPanel(rows: panel.rows, columns: columns)
          fitted.encode(panel, importance: nil, into: &quantized)
          nesting.nest(&quantized, firstTile: rows.lowerBound * quantized.groupsPerRow)
          fitted.value(quantized, columns: 0..<columns, into: destination)
        }
      }
    }
    return result
  }

  /// The largest magnitude of each tile of one row and `length` columns, row after row.
  package func tileMagnitudes(length: Int) -> [Float] {
    let groups = length > 0 ? (columns + length - 1) / length : 0
    var result = [Float](repeating: 0, count: rows * groups)
    withPanel { panel in
      result.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        for row in 0..<rows { qc_magnitudes(panel.row(row), columns, length, base + row * groups) }
      }
    }
    return result
  }
}
