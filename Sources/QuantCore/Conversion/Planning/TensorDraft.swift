/// One output tensor before it has a scheme: what it is made of.
struct TensorDraft {
  /// The source's tensor; if it is made of several, the one whose type says most: a quantized one before floats.
  var tensor: CheckpointTensor
  let name: String
  var shape: [Int]
  var pieces: [TensorPiece]
  let isQuantizable: Bool

  var id: TensorID? { pieces.first?.id }
  /// Weights of one row of the output.
  var rowLength: Int { shape.last ?? 1 }
  /// Whether its rows are those of the source tensor, in the same order.
  var isInPlace: Bool { pieces.allSatisfy { $0.isInPlace && $0.source.name == tensor.name } }
  var isTransposed: Bool { pieces.contains { $0.target.layout.isTransposed } }
  /// Whether each of its rows is a row of the source, value for value.
  var keepsRows: Bool {
    pieces.allSatisfy { $0.source.layout.values == $0.target.layout.values && $0.source.layout.columns == $0.target.layout.columns }
      && !isTransposed && !pieces.contains { $0.source.layout.isTransposed }
      // Rows that the source does not hold are zero.
      && pieces.allSatisfy { $0.shape.count == 1 || $0.source.shape.dropLast().reduce(1, *) >= $0.rows }
  }
  /// The scheme in which clients expect it, if they do not take any.
  /// - Parameter asked: the floating-point type that the whole model is converted to; nil if it is not.
  func expectedScheme(asked: String?) -> String? {
    let expected = pieces.first?.target.schemes ?? []
    return expected.first { $0 == asked } ?? expected.first
  }
  /// The same draft with its matrices transposed in the output.
  var turned: TensorDraft {
    var draft = self
    for index in pieces.indices { draft.pieces[index].target = pieces[index].target.turned }
    if shape.count > 1 { draft.shape.swapAt(shape.count - 2, shape.count - 1) }
    return draft
  }
  /// What is stored instead of the source's values, or nil.
  var valueNote: String? {
    pieces.lazy.filter { $0.source.layout.values != $0.target.layout.values }.map { piece in
      piece.target.layout.values.note ?? "computed from values \(piece.source.layout.values.note ?? "")"
    }.first
  }
  /// Whether an adapter is merged into a part of it.
  func isMerged(in source: Checkpoint) -> Bool {
    tensor.storage is MergedStorage || pieces.contains { source[$0.source.name]?.storage is MergedStorage }
  }
}

/// A draft with what was chosen for it.
@dynamicMemberLookup
struct ChosenDraft {
  var draft: TensorDraft
  /// Nil for data that is not numeric, which is copied.
  var scheme: (any Scheme)?
  /// How clients round the input of the layer; nil: not at all.
  var activations: ActivationScheme?
  /// Why the scheme is not the one asked for, or nil.
  var note: String?
  /// Whether it must not be rounded without importance.
  var needsImportance = false

  init(_ draft: TensorDraft) { self.draft = draft }

  subscript<Value>(dynamicMember member: KeyPath<TensorDraft, Value>) -> Value { draft[keyPath: member] }
}
