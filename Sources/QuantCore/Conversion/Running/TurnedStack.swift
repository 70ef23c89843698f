/// The rows of an output that is a stack of matrices, some of which lie the other way round in the source or in the output: one matrix
/// is held at a time, where all of them are far larger than the memory that a conversion may take.
struct TurnedStack: Sendable {
  private let stack: CheckpointTensor

  /// Nil for an output that is no such stack.
  /// - Throws: `Failure` of kind internal where the source has not what is planned.
  init?(_ tensor: PlannedTensor, _ source: Checkpoint) throws {
    guard TurnedStack.workingBytes(tensor) > 0 else { return nil }
    // Each stack of the source the way round in which its rows are the model's.
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

  /// Bytes of the matrices that are held; 0 for an output that is no such stack.
  static func workingBytes(_ tensor: PlannedTensor) -> Int {
    guard tensor.shape.count == 3, !tensor.isVector, !tensor.isInPlace, tensor.adoption == nil else { return 0 }
    var bytes = tensor.isTransposed ? tensor.shape[1] * tensor.shape[2] * 4 : 0
    var seen: Set<String> = []
    for place in tensor.pieces.lazy.map(\.source) where place.layout.isTransposed && seen.insert(place.name).inserted {
      // Of anything else than stacks, whole matrices are wanted.
      guard place.shape.count == 3 else { return 0 }
      bytes += place.shape[1] * place.shape[2] * 4
    }
    return bytes
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
