/// The tensors of a checkpoint by what they are for, checked against the model's shapes.
///
/// Weights come decoded to 32-bit floats, with rows in the model's own order whatever the container did to them.
public struct ModelWeights: Sendable {
  /// One tensor with the order in which its container holds the rows.
  private struct Entry: Sendable {
    var tensor: CheckpointTensor
    var order: RowOrder
    var shape: [Int]
  }

  private let entries: [TensorID: Entry]

  /// Finds every tensor of `model` in `checkpoint`. Reads no weights.
  /// - Throws: `Failure` `model.tensor-missing`, `model.tensor-shape` or `model.tensor-type`, naming the tensor.
  public init(_ checkpoint: Checkpoint, model: ModelDescription) throws(Failure) {
    var entries: [TensorID: Entry] = [:]
    for wanted in model.tensors {
      let name = wanted.name(checkpoint.naming)
      guard let tensor = checkpoint[name] else {
        if wanted.isOptional { continue }
        throw Failure(
          .data, "model.tensor-missing", "the checkpoint lacks this tensor of a \(model.family) model", file: checkpoint.path,
          tensor: name)
      }
      guard tensor.shape == wanted.shape else {
        throw Failure(
          .data, "model.tensor-shape", "the shape is \(tensor.shape), the configuration means \(wanted.shape)", file: checkpoint.path,
          tensor: name)
      }
      let needsScale = ElementType(rawValue: tensor.storage.schemeName.uppercased())?.needsScale ?? false
      guard tensor.storage.isNumeric, !needsScale else {
        throw Failure(
          .data, "model.tensor-type", "the values have type \(tensor.storage.schemeName), which is not a weight's",
          file: checkpoint.path, tensor: name)
      }
      let order = checkpoint.naming == .gguf ? wanted.ggufRowOrder : .same
      entries[wanted.id] = Entry(tensor: tensor, order: order, shape: wanted.shape)
    }
    self.entries = entries
  }

  /// Whether the checkpoint has this tensor.
  public func contains(_ id: TensorID) -> Bool { entries[id] != nil }

  /// Shape of a tensor, outermost first, or nil where the checkpoint lacks it.
  public func shape(_ id: TensorID) -> [Int]? { entries[id]?.shape }

  /// A whole matrix `[out, in]`, or nil where the checkpoint lacks it.
  public func matrix(_ id: TensorID, parallel: Parallel) -> Matrix? {
    guard let entry = entries[id], let columns = entry.shape.last else { return nil }
    var matrix = Matrix(rows: entry.tensor.rowCount, columns: columns)
    let rows = matrix.rows
    matrix.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      // Pieces of about a quarter mebi weights: long enough to amortise a decoder's set-up.
      parallel.forEachRange(rows, piece: max(1, (1 << 18) / max(1, columns))) { piece in
        ModelWeights.decode(entry, rows: piece, into: target.base + piece.lowerBound * columns)
      }
    }
    return matrix
  }

  /// A vector (norm gain, bias), or nil where the checkpoint lacks it.
  public func vector(_ id: TensorID) -> [Float]? {
    guard let entry = entries[id] else { return nil }
    let stored = entry.tensor.matrix().values
    guard entry.order != .same else { return stored }
    return stored.indices.map { stored[entry.order.containerRow(of: $0, rows: stored.count)] }
  }

  /// Lets the system take back the memory in which a tensor's file is mapped.
  func releasePages(_ id: TensorID) { entries[id]?.tensor.storage.verbatim?.releasePages() }

  /// Decodes some rows of a matrix in the model's order; does nothing where the checkpoint lacks it.
  func decode(_ id: TensorID, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    if let entry = entries[id] { ModelWeights.decode(entry, rows: rows, into: destination) }
  }

  private static func decode(_ entry: Entry, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    guard entry.order != .same else { return entry.tensor.decode(rows: rows, into: destination) }
    let columns = entry.tensor.rowLength
    let count = entry.tensor.rowCount
    for row in rows {
      let stored = entry.order.containerRow(of: row, rows: count)
      entry.tensor.decode(rows: stored..<stored + 1, into: destination + (row - rows.lowerBound) * columns)
    }
  }
}
