/// Which tensor and row of the model stands at a row of an output tensor.
struct RowMap: Sendable {
  /// A row of the model.
  private struct Origin: Sendable {
    var piece: Int
    var row: Int
  }

  let pieces: [TensorPiece]
  private let sourceName: String
  /// By row of the output; nil where rows of the output are those of the first piece.
  private let origins: [Origin]?

  init(_ tensor: PlannedTensor) {
    pieces = tensor.pieces
    sourceName = tensor.sourceName
    let isPlain = pieces.count <= 1 && (pieces.first.map { $0.target.layout == RowLayout() || $0.target.layout.isTransposed } ?? true)
    guard !isPlain, !tensor.isTransposed else {
      origins = nil
      return
    }
    let rows = tensor.shape.count == 1 ? tensor.shape[0] : tensor.shape.dropLast().reduce(1, *)
    var origins = [Origin](repeating: Origin(piece: 0, row: 0), count: rows)
    for (index, piece) in pieces.enumerated() {
      for row in 0..<piece.rows { origins[piece.target.layout.containerRow(of: row, rows: piece.rows)] = Origin(piece: index, row: row) }
    }
    self.origins = origins
  }

  /// The row, within its matrix of the model, at a row of the output.
  func modelRow(_ outputRow: Int) -> Int { origins?[outputRow].row ?? outputRow }

  /// Where the source holds a value of the output: the tensor, the value's index in it, and the length of its rows.
  /// - Parameters:
  ///   - column: within the output's row.
  ///   - columns: length of the output's rows.
  func source(row: Int, column: Int, columns: Int) -> (tensor: String, index: Int, columns: Int) {
    if pieces.allSatisfy({ $0.isInPlace }) { return (sourceName, row * columns + column, columns) }
    let isVector = pieces.first?.shape.count == 1
    let outer = isVector ? column : row
    var origin = origins?[outer] ?? Origin(piece: 0, row: outer)
    var input = column
    if pieces.contains(where: { $0.target.layout.isTransposed }) {
      for (index, piece) in pieces.enumerated() {
        for output in 0..<piece.rows where piece.target.layout.containerRow(of: output, rows: piece.rows) == column {
          origin = Origin(piece: index, row: output)
        }
      }
      input = row
    }
    let piece = pieces[origin.piece]
    let stored = piece.source.layout.containerRow(of: origin.row, rows: piece.rows)
    let length = piece.source.shape.last ?? 1
    let index = isVector ? stored : piece.source.layout.isTransposed ? input * length + stored : stored * length + input
    return (piece.source.name, index, length)
  }

  // MARK: Between the model's matrices and the output

  /// Copies some rows of the output from the matrices of its pieces.
  func gather(_ matrices: [Matrix], rows: Range<Int>, columns: Int, into destination: UnsafeMutablePointer<Float>) {
    forEachValue(matrices.map { ($0.rows, $0.columns) }, rows: rows, columns: columns) { piece, from, count, to in
      for c in 0..<count { destination[to + c] = matrices[piece].values[from + c] }
    }
  }

  /// Decodes some rows of the output from where the source holds them; rows that follow each other in the model at once.
  func decode(_ placed: [PlacedTensor], rows: Range<Int>, columns: Int, into destination: UnsafeMutablePointer<Float>) {
    var first = rows.lowerBound
    while first < rows.upperBound {
      let origin = origins?[first] ?? Origin(piece: 0, row: first)
      var count = 1
      while first + count < rows.upperBound, continues(origin, at: first + count, by: count) { count += 1 }
      placed[origin.piece].decode(
        rows: origin.row..<origin.row + count, into: destination + (first - rows.lowerBound) * columns)
      first += count
    }
  }

  /// Runs of rows that follow each other in a piece's source tensor and in the output.
  /// - Parameter body: called with the piece, rows of its source tensor, and the output's row of the first.
  func forEachRun(_ rows: Range<Int>, _ body: (_ piece: Int, _ source: Range<Int>, _ output: Int) -> Void) {
    func place(_ row: Int) -> (piece: Int, row: Int) {
      let origin = origins?[row] ?? Origin(piece: 0, row: row)
      let piece = pieces[origin.piece]
      return (origin.piece, piece.source.layout.containerRow(of: origin.row, rows: piece.shape.dropLast().reduce(1, *)))
    }
    var first = rows.lowerBound
    while first < rows.upperBound {
      let start = place(first)
      var count = 1
      while first + count < rows.upperBound, place(first + count) == (start.piece, start.row + count) { count += 1 }
      body(start.piece, start.row..<start.row + count, first)
      first += count
    }
  }

  private func continues(_ origin: Origin, at outputRow: Int, by count: Int) -> Bool {
    guard let next = origins?[outputRow] else { return true }
    return next.piece == origin.piece && next.row == origin.row + count
  }

  /// The reverse for a whole output tensor.
  func scatter(_ values: [Float], columns: Int, into matrices: inout [Matrix]) {
    let shapes = matrices.map { ($0.rows, $0.columns) }
    forEachValue(shapes, rows: 0..<values.count / max(1, columns), columns: columns) { piece, to, count, from in
      for c in 0..<count { matrices[piece].values[to + c] = values[from + c] }
    }
  }

  /// Runs of values that lie together both in a matrix of a piece and in the output.
  /// - Parameter body: called with the piece, an index into its matrix, a length, and an index into the rows of the output.
  private func forEachValue(
    _ shapes: [(rows: Int, columns: Int)], rows: Range<Int>, columns: Int,
    _ body: (_ piece: Int, _ model: Int, _ count: Int, _ output: Int) -> Void
  ) {
    if pieces.contains(where: { $0.target.layout.isTransposed }) {
      for (index, piece) in pieces.enumerated() {
        for output in 0..<piece.rows {
          let column = piece.target.layout.containerRow(of: output, rows: piece.rows)
          for row in rows { body(index, output * shapes[index].columns + row, 1, (row - rows.lowerBound) * columns + column) }
        }
      }
      return
    }
    for row in rows {
      let origin = origins?[row] ?? Origin(piece: 0, row: row)
      body(origin.piece, origin.row * columns, columns, (row - rows.lowerBound) * columns)
    }
  }

  /// The elements of a vector of the output, from the vectors of its pieces.
  func gather(_ vectors: [[Float]]) -> [Float] {
    guard let origins else { return vectors.first ?? [] }
    return origins.map { vectors[$0.piece][$0.row] }
  }

  /// The reverse.
  func scatter(_ values: [Float], into vectors: inout [[Float]]) {
    for (index, value) in values.enumerated() {
      let origin = origins?[index] ?? Origin(piece: 0, row: index)
      vectors[origin.piece][origin.row] = value
    }
  }
}
