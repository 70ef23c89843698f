extension CheckpointTensor {
  /// About as many rows are looked at, evenly distributed; of schemes with tiles of several rows, at least four rows of tiles.
  private static let sampledRows = 64
  /// So many weights must fit, besides the largest one of each tile, which fits any scale.
  private static let leastEvidence = 64

  /// Whether the weights, stored as plain floats, are values of a scheme's grid already, as far as a sample of rows shows. Ordinary
  /// weights are told from the first tile.
  package func lies(on scheme: any Scheme) -> Bool {
    guard storage.elementType?.isFloat == true, storage.isNumeric, shape.count > 1, elementCount > 0, let tileRows = scheme.grid.tileRows,
      scheme.fits(columns: rowLength)
    else { return false }
    let strips = (rowCount + tileRows - 1) / tileRows
    let sampled = min(strips, max(4, CheckpointTensor.sampledRows / tileRows))
    var evidence = 0
    for sample in 0..<sampled {
      let first = sample * strips / sampled * tileRows
      guard let found = fittingWeights(in: first..<min(first + tileRows, rowCount), for: scheme) else { return false }
      evidence += found
      // Zeros lie on every grid: a file without data (a sparse one, to plan with) would be read to its end.
      if evidence == 0 { return false }
    }
    return evidence >= CheckpointTensor.leastEvidence
  }

  /// How many weights of the tiles in some rows fit the grid, besides the largest of each tile; nil if a tile does not fit.
  private func fittingWeights(in rows: Range<Int>, for scheme: any Scheme) -> Int? {
    guard let type = storage.elementType else { return nil }
    let columns = rowLength, length = scheme.groupLength(columns: columns)
    var evidence = 0
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count * columns) { buffer in
      guard let base = buffer.baseAddress else { return nil }
      decode(rows: rows, into: base)
      let panel = Panel(base: base, rows: rows.count, columns: columns, rowStride: columns)
      for start in stride(from: 0, to: columns, by: length) {
        let fitting: Int? = panel.withTile(rows: 0..<rows.count, columns: start..<min(start + length, columns)) { tile in
          let count = tile.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
          return count == 0 ? 0 : scheme.exactParameters(of: tile, storedIn: type).map { _ in count - 1 }
        }
        guard let fitting else { return nil }
        evidence += fitting
      }
      return evidence
    }
  }
}

extension Panel {
  /// Calls `body` with the weights of a rectangle, row after row.
  package func withTile<Result>(rows: Range<Int>, columns: Range<Int>, _ body: (UnsafeBufferPointer<Float>) -> Result) -> Result {
    if rows.count == 1 { return body(UnsafeBufferPointer(start: row(rows.lowerBound) + columns.lowerBound, count: columns.count)) }
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count * columns.count) { tile in
      for row in rows {
        for column in columns {
          tile[(row - rows.lowerBound) * columns.count + column - columns.lowerBound] = self.row(row)[column]
        }
      }
      return body(UnsafeBufferPointer(tile))
    }
  }
}
