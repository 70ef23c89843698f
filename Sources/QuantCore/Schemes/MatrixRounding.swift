extension Matrix {
  /// The numbers that a scheme makes of this weight matrix. Rows are rounded in parallel, in pieces of whole tiles.
  public func rounded(to scheme: any Scheme, parallel: Parallel) -> Matrix {
    var scheme = scheme
    if scheme.sharing != nil { scheme = scheme.fitted(largestMagnitude: VectorKernels.largestMagnitude(values)) }
    let fitted = scheme
    let tileRows = fitted.grid.tileRows ?? 1
    let piece = max(1, (1 << 18) / max(1, columns * tileRows)) * tileRows
    var result = Matrix(rows: rows, columns: columns)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(rows, piece: piece) { rows in
        withPanel(rows: rows) { fitted.roundTrip($0, importance: nil, into: target.base + rows.lowerBound * columns) }
      }
    }
    return result
  }
}
