import Synchronization

/// A tensor as a method rewrites it. It offers no codes: values are available as floats only.
struct RewrittenStorage: TensorStorage {
  let original: any TensorStorage
  /// `[rows, columns]` of the tensor.
  let shape: (rows: Int, columns: Int)
  let rewrite: any TensorRewrite
  let name: String
  /// Keeps tensors whose rows are mixed; shared by all of a model.
  let whole: RewrittenTensors

  var schemeName: String { original.schemeName }
  var byteCount: Int { original.byteCount }
  var isNumeric: Bool { original.isNumeric }
  var verbatim: ByteView? { nil }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let matrix = rewrite.mixesRows ? whole.of(name) { rewritten(0..<shape.rows) } : rewritten(rows)
    let first = rewrite.mixesRows ? rows.lowerBound * rowLength : 0
    matrix.values.withUnsafeBufferPointer { values in
      if let base = values.baseAddress { destination.update(from: base + first, count: rows.count * rowLength) }
    }
  }

  private func rewritten(_ rows: Range<Int>) -> Matrix {
    var matrix = Matrix(rows: rows.count, columns: shape.columns)
    matrix.values.withUnsafeMutableBufferPointer { values in
      if let base = values.baseAddress { original.decode(rows: rows, rowLength: shape.columns, into: base) }
    }
    rewrite.apply(to: &matrix)
    return matrix
  }
}

/// The last whole tensors that were rewritten. Threads stream a model in order, so they work on two tensors at most but for small ones.
final class RewrittenTensors: Sendable {
  private static let capacity = 2

  private let kept = Mutex<[(name: String, matrix: Matrix)]>([])

  /// - Parameter make: called while other threads wait, so that no tensor is made twice.
  func of(_ name: String, _ make: () -> Matrix) -> Matrix {
    kept.withLock { kept in
      if let known = kept.first(where: { $0.name == name }) { return known.matrix }
      if kept.count == RewrittenTensors.capacity { kept.removeFirst() }
      let matrix = make()
      kept.append((name, matrix))
      return matrix
    }
  }
}

extension Checkpoint {
  /// The model with the tensors that methods rewrite.
  /// - Throws: `Failure` `method.layout` for a tensor whose rows are stored with others, or as other values; `method.unknown-tensor` for one
  ///   that is not described and may read hidden states.
  package func rewritten(by methods: [any QuantizationMethod], model: ModelDescription) throws(Failure) -> Checkpoint {
    var result = self
    for method in methods where method.stages.contains(.rewrite) {
      let weights = try ModelWeights(result, model: model)
      let names = Set(model.tensors.compactMap { $0.name(naming) })
      if let unknown = tensors.first(where: { !names.contains($0.name) && $0.shape.contains(model.hiddenSize) }) {
        throw Failure(
          .unsupported, "method.unknown-tensor",
          "it is not known what this tensor does with the hidden states that method '\(type(of: method).id)' changes", file: path,
          tensor: unknown.name, remedy: "Leave the method out, or drop the tensor (\(setting: "drop")).")
      }
      var storages: [String: any TensorStorage] = [:]
      let whole = RewrittenTensors()
      for (id, rewrite) in method.rewrites(of: model, vector: weights.vector) {
        guard let described = model.tensor(id), let place = described.place(naming), let tensor = result[place.name] else { continue }
        let isWhole = place.layout.firstRow == 0 && place.shape.reduce(1, *) == described.shape.reduce(1, *)
        let isPlain = !place.layout.isTransposed && place.layout.columns == .same && place.layout.values == .same
        guard isWhole, isPlain, !rewrite.mixesRows || place.layout.order == .same else {
          throw Failure(
            .unsupported, "method.layout",
            "method '\(type(of: method).id)' rewrites this tensor of the model, which the checkpoint stores with others, or in another form",
            file: path, tensor: place.name,
            remedy: "Leave the method out, or convert the model first to a format that stores each matrix by itself.")
        }
        storages[place.name] = RewrittenStorage(
          original: tensor.storage, shape: (tensor.rowCount, tensor.rowLength), rewrite: rewrite, name: place.name, whole: whole)
      }
      result.replaceStorage { storages[$0.name] ?? $0.storage }
    }
    return result
  }
}
