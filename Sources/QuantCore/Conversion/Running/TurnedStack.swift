/// The rows of an output that is a stack of matrices, some of which are transposed in the source or in the output. One matrix is held
/// at a time, because all of them together would need far more memory than a conversion may use.
struct TurnedStack: Sendable {
  private let stack: CheckpointTensor

  /// Nil for an output that is not such a stack.
  /// - Throws: `Failure` of kind internal if the source does not have what is planned.
  init?(_ tensor: PlannedTensor, _ source: Checkpoint) throws {
    guard tensor.turnedBytes > 0 else { return nil }
    // Each stack of the source, oriented so that its rows are the model's.
    var upright: [String: CheckpointTensor] = [:]
    var pieces = tensor.pieces
    for index in pieces.indices {
      let place = pieces[index].source
      guard let stored = source[place.name] else {
        throw Failure(.internalError, "convert.source-lost", "a planned tensor is not in the source", tensor: place.name)
      }
      try place.check(stored, file: source.path)
      if place.layout.isTransposed { pieces[index].source = place.turned }
      if upright[place.name] == nil {
        upright[place.name] = place.layout.isTransposed ? TransposedStack.tensor(stored) : stored
      }
      if tensor.isTransposed { pieces[index].target = pieces[index].target.turned }
    }
    var planned = tensor
    planned.pieces = pieces
    planned.shape = pieces.first?.target.shape ?? tensor.shape
    let placed = try pieces.compactMap { piece in
      try upright[piece.source.name].map { try PlacedTensor($0, at: piece.source, shape: piece.shape, file: source.path) }
    }
    guard placed.count == pieces.count else { return nil }
    let rows = CheckpointTensor(
      name: tensor.name, shape: planned.shape, storage: Rows(map: RowMap(planned), placed: placed, schemeName: tensor.scheme.name))
    guard let stack = tensor.isTransposed ? TransposedStack.tensor(rows) : rows else { return nil }
    self.stack = stack
  }

  func decode(rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) { stack.decode(rows: rows, into: destination) }

  /// Rows of an output that is not transposed.
  private struct Rows: TensorStorage {
    let map: RowMap
    let placed: [PlacedTensor]
    let schemeName: String
    var byteCount: Int { 0 }
    var isNumeric: Bool { true }
    var verbatim: ByteView? { nil }

    func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
      map.decode(placed, rows: rows, columns: rowLength, into: destination)
    }
  }
}
