/// Which tensor and row of the model a row of an output tensor holds, and which values are stored for it.
struct RowMap: Sendable {
  /// A row of the model.
  private struct Origin: Sendable, Equatable {
    var piece: Int
    var row: Int
  }

  let pieces: [TensorPiece]
  private let sourceName: String
  /// By output of the stored tensor: its rows, or the columns of its matrices if it is transposed. Nil if its rows are those of the
  /// first piece.
  private let origins: [Origin]?
  private let isTransposed: Bool
  /// Rows of each matrix of a transposed tensor.
  private let inputs: Int
  /// Whether the output stores other values than the model's, or columns in another order.
  private let changesRows: Bool

  init(_ tensor: PlannedTensor) {
    pieces = tensor.pieces
    sourceName = tensor.sourceName
    isTransposed = tensor.isTransposed
    changesRows = pieces.contains { $0.target.layout.columns != .same || $0.target.layout.values != .same }
    inputs = pieces.first?.shape.last ?? 1
    var layout = pieces.first?.target.layout ?? RowLayout()
    layout.columns = .same
    layout.values = .same
    guard isTransposed || pieces.count > 1 || layout != RowLayout() else {
      origins = nil
      return
    }
    let isVector = pieces.first?.shape.count == 1
    let count =
      isVector
      ? tensor.shape.reduce(1, *) : isTransposed ? tensor.shape.reduce(1, *) / max(1, inputs) : tensor.shape.dropLast().reduce(1, *)
    var origins = [Origin](repeating: Origin(piece: 0, row: 0), count: count)
    for (index, piece) in pieces.enumerated() {
      for row in 0..<piece.rows { origins[piece.target.layout.containerRow(of: row, rows: piece.rows)] = Origin(piece: index, row: row) }
    }
    self.origins = origins
  }

  /// The row, within its matrix of the model, at a row of the output that is not transposed.
  func modelRow(_ outputRow: Int) -> Int { isTransposed ? outputRow : origins?[outputRow].row ?? outputRow }

  private func origin(_ output: Int) -> Origin { origins?[output] ?? Origin(piece: 0, row: output) }

  /// Where the source holds a value of the output: the tensor, the value's index in it, and the length of its rows.
  /// - Parameters:
  ///   - column: within the output's row.
  ///   - columns: length of the output's rows.
  func source(row: Int, column: Int, columns: Int) -> (tensor: String, index: Int, columns: Int) {
    if pieces.allSatisfy({ $0.isInPlace }) { return (sourceName, row * columns + column, columns) }
    let isVector = pieces.first?.shape.count == 1
    let output = isVector ? row * columns + column : isTransposed ? row / max(1, inputs) * columns + column : row
    let origin = origin(output)
    let piece = pieces[origin.piece]
    let stored = isTransposed ? row % max(1, inputs) : column
    let input = (0..<inputs).first { piece.target.layout.columns.containerColumn(of: $0) == stored } ?? stored
    let from = piece.source.layout
    let length = piece.source.shape.last ?? 1
    let outer = from.containerRow(of: origin.row, rows: piece.rows)
    if isVector { return (piece.source.name, outer, length) }
    let inner = from.columns.containerColumn(of: input)
    return (
      piece.source.name,
      from.isTransposed ? (outer / max(1, length) * inputs + inner) * length + outer % max(1, length) : outer * length + inner, length
    )
  }

  // MARK: Between the model's matrices and the output

  /// Copies some rows of the output from the matrices of its pieces.
  func gather(_ matrices: [Matrix], rows: Range<Int>, columns: Int, into destination: UnsafeMutablePointer<Float>) {
    if isTransposed || changesRows {
      forEachValue(rows, columns: columns) { piece, row, input, to in
        destination[to] = pieces[piece].target.layout.values.stored(matrices[piece].values[row * matrices[piece].columns + input])
      }
      return
    }
    for row in rows {
      let origin = origin(row)
      let (from, to) = (origin.row * columns, (row - rows.lowerBound) * columns)
      for c in 0..<columns { destination[to + c] = matrices[origin.piece].values[from + c] }
    }
  }

  /// Decodes some rows of an output that is not transposed from where the source holds them; rows that are adjacent in the model are
  /// decoded together.
  func decode(_ placed: [PlacedTensor], rows: Range<Int>, columns: Int, into destination: UnsafeMutablePointer<Float>) {
    var first = rows.lowerBound
    while first < rows.upperBound {
      let origin = origin(first)
      var count = 1
      while first + count < rows.upperBound, continues(origin, at: first + count, by: count) { count += 1 }
      let target = destination + (first - rows.lowerBound) * columns
      placed[origin.piece].decode(rows: origin.row..<origin.row + count, into: target)
      if changesRows { store(count, columns, pieces[origin.piece].target.layout, at: target) }
      first += count
    }
  }

  /// Turns rows of the model into what the format stores.
  private func store(_ count: Int, _ columns: Int, _ layout: RowLayout, at base: UnsafeMutablePointer<Float>) {
    let row = AlignedScratch(count: columns)
    for start in stride(from: 0, to: count * columns, by: max(1, columns)) {
      row.base.update(from: base + start, count: columns)
      for c in 0..<columns { base[start + layout.columns.containerColumn(of: c)] = layout.values.stored(row.base[c]) }
    }
  }

  /// Runs of rows that are adjacent both in a piece's source tensor and in the output.
  /// - Parameter body: called with the piece, rows of its source tensor, and the output's row of the first.
  func forEachRun(_ rows: Range<Int>, _ body: (_ piece: Int, _ source: Range<Int>, _ output: Int) -> Void) {
    func place(_ row: Int) -> (piece: Int, row: Int) {
      let origin = origin(row)
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

  /// The reverse of `gather` for a whole output tensor.
  func scatter(_ values: [Float], columns: Int, into matrices: inout [Matrix]) {
    let rows = values.count / max(1, columns)
    if isTransposed || changesRows {
      var made = matrices
      forEachValue(0..<rows, columns: columns) { piece, row, input, from in
        made[piece].values[row * made[piece].columns + input] = pieces[piece].target.layout.values.model(values[from])
      }
      matrices = made
      return
    }
    for row in 0..<rows {
      let origin = origin(row)
      let (to, from) = (origin.row * columns, row * columns)
      for c in 0..<columns { matrices[origin.piece].values[to + c] = values[from + c] }
    }
  }

  /// Every value of some rows of the output.
  /// - Parameter body: called with the piece, the row and column of its matrix, and an index into the rows of the output.
  private func forEachValue(_ rows: Range<Int>, columns: Int, _ body: (_ piece: Int, _ row: Int, _ input: Int, _ output: Int) -> Void) {
    // The column of the model for each stored column; pieces of one tensor have the same order of columns.
    var modelColumn = Array(0..<inputs)
    if let order = pieces.first?.target.layout.columns, order != .same {
      for c in 0..<inputs { modelColumn[order.containerColumn(of: c)] = c }
    }
    for row in rows {
      let start = (row - rows.lowerBound) * columns
      if isTransposed {
        let (matrix, input) = row.quotientAndRemainder(dividingBy: max(1, inputs))
        for column in 0..<columns {
          let origin = origin(matrix * columns + column)
          body(origin.piece, origin.row, modelColumn[input], start + column)
        }
      } else {
        let origin = origin(row)
        for column in 0..<columns { body(origin.piece, origin.row, modelColumn[column], start + column) }
      }
    }
  }

  /// The elements of an output of vectors, from the vectors of its pieces.
  func gather(_ vectors: [[Float]]) -> [Float] {
    guard let origins else {
      let map = pieces.first?.target.layout.values ?? .same
      let values = vectors.first ?? []
      return map == .same ? values : values.map { map.stored($0) }
    }
    return origins.map { pieces[$0.piece].target.layout.values.stored(vectors[$0.piece][$0.row]) }
  }

  /// The reverse.
  func scatter(_ values: [Float], into vectors: inout [[Float]]) {
    for (index, value) in values.enumerated() {
      let origin = origin(index)
      vectors[origin.piece][origin.row] = pieces[origin.piece].target.layout.values.model(value)
    }
  }
}
