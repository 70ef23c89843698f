/// How rows move when a tensor changes containers: which row of the model, and of the source, stands at a row of the output.
struct RowMap: Sendable {
  let output: RowOrder
  let source: RowOrder
  let rows: Int

  init(_ tensor: PlannedTensor) {
    output = tensor.rowOrder
    source = tensor.sourceRowOrder
    rows = tensor.shape.count == 1 ? tensor.shape[0] : tensor.shape.dropLast().reduce(1, *)
  }

  /// Whether rows of the output are rows of the source in the same order.
  var isIdentity: Bool { output == source }

  /// The model's row at a row of the output.
  func modelRow(_ outputRow: Int) -> Int { output.modelRow(of: outputRow, rows: rows) }

  /// The source's row at a row of the output.
  func sourceRow(_ outputRow: Int) -> Int {
    isIdentity ? outputRow : source.containerRow(of: modelRow(outputRow), rows: rows)
  }
}
