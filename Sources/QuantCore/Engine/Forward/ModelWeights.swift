/// The tensors of a checkpoint by their ids in the model, checked against the model's shapes.
///
/// Weights are decoded to 32-bit floats, as the matrices of the model, however the format stores them.
public struct ModelWeights: Sendable {
  private let entries: [TensorID: PlacedTensor]

  /// Finds every tensor of `model` in `checkpoint`. Reads no weights.
  /// - Throws: `Failure` `model.tensor-missing`, `model.tensor-shape` or `model.tensor-type`, naming the tensor.
  public init(_ checkpoint: Checkpoint, model: ModelDescription) throws(Failure) {
    var entries: [TensorID: PlacedTensor] = [:]
    for wanted in model.tensors {
      guard let place = wanted.place(checkpoint.naming) else { continue }
      guard let tensor = checkpoint[place.name] else {
        if wanted.isOptional { continue }
        throw Failure(
          .data, "model.tensor-missing", "the checkpoint lacks this tensor of a \(model.family) model", file: checkpoint.path,
          tensor: place.name)
      }
      let placed = try PlacedTensor(tensor, at: place, shape: wanted.shape, file: checkpoint.path)
      let needsScale = tensor.storage.elementType?.needsScale ?? false
      guard tensor.storage.isNumeric, !needsScale else {
        throw Failure(
          .data, "model.tensor-type", "weights cannot have type \(tensor.storage.schemeName)",
          file: checkpoint.path, tensor: place.name)
      }
      entries[wanted.id] = placed
    }
    self.entries = entries
  }

  /// Whether the checkpoint has this tensor.
  public func contains(_ id: TensorID) -> Bool { entries[id] != nil }

  /// A whole matrix `[out, in]`, or nil if the checkpoint lacks it.
  public func matrix(_ id: TensorID, parallel: Parallel) -> Matrix? { entries[id]?.matrix(parallel: parallel) }

  /// A vector (norm gain, bias), or nil if the checkpoint lacks it.
  public func vector(_ id: TensorID) -> [Float]? { entries[id]?.vector() }

  /// Decodes some rows of a matrix in the model's order; does nothing if the checkpoint lacks it.
  package func decode(_ id: TensorID, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    entries[id]?.decode(rows: rows, into: destination)
  }
}
