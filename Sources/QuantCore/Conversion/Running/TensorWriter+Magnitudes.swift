import Synchronization

/// The first of two passes over a tensor if more than one tile shares its parameters.
extension TensorWriter {
  /// The largest magnitude of a tensor as the source holds it.
  func largestMagnitude(stored index: Int) throws -> Float {
    try placed(plan.tensors[index]).map { placed in
      let rows = placed.shape.dropLast().reduce(1, *), columns = placed.shape.last ?? 1
      return largestMagnitude(rows: rows, columns: columns, piece: tileRows(rows: rows, columns: columns, multiple: 1)) {
        placed.decode(rows: $0, into: $1)
      }
    }.max() ?? 0
  }

  /// The same for rows that a closure loads.
  func largestMagnitude(
    rows: Int, columns: Int, piece: Int, load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) -> Float {
    let largest = Mutex<Float>(0)
    parallel.forEachRange(rows, piece: piece) { rows in
      let found = withValues(rows, columns, load) { VectorKernels.largestMagnitude($0) }
      largest.withLock { $0 = max($0, found) }
    }
    return largest.withLock { $0 }
  }

  /// The largest magnitudes of all tiles of one row and `length` columns, row by row.
  func tileMagnitudes(
    _ index: Int, _ rows: Int, _ columns: Int, length: Int, piece: Int,
    load: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) throws -> [Float] {
    var magnitudes: [Float] = []
    try inTiles(index, 0..<rows, of: rows, tile: piece) { rows in
      withValues(rows, columns, load) { Matrix(rows: rows.count, columns: columns, values: Array($0)).tileMagnitudes(length: length) }
    } consume: {
      magnitudes += $0
    }
    return magnitudes
  }
}
