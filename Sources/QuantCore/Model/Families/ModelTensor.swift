/// One tensor of the model, as methods and the engine see it, with its place in each container.
///
/// Containers concatenate, stack, reorder or transpose the model's tensors: several of them may lie in one container tensor.
public struct ModelTensor: Sendable {
  /// Its part in the model.
  public var id: TensorID
  /// Dimensions in the model: `[out, in]`, or one for a vector.
  public var shape: [Int]
  /// Where a Hugging Face folder holds it; nil: such a container has no place for it.
  public var huggingFace: TensorPlace?
  /// Where a GGUF file holds it; nil: such a container has no place for it.
  public var gguf: TensorPlace?
  /// Whether a checkpoint may lack it (biases that some models have, a tied output).
  public var isOptional: Bool

  public init(id: TensorID, shape: [Int], huggingFace: TensorPlace?, gguf: TensorPlace?, isOptional: Bool = false) {
    self.id = id
    self.shape = shape
    self.huggingFace = huggingFace
    self.gguf = gguf
    self.isOptional = isOptional
  }

  /// Its place under a convention.
  public func place(_ naming: Naming) -> TensorPlace? { naming == .gguf ? gguf : huggingFace }
  /// Name of the container's tensor that holds it, or nil where such a container has no place for it.
  public func name(_ naming: Naming) -> String? { place(naming)?.name }
}

/// Where a tensor of the model lies in a container: as a tensor of its own, or as some rows of a larger one.
public struct TensorPlace: Sendable, Equatable {
  /// Name of the container's tensor.
  public var name: String
  /// Dimensions of the container's tensor, outermost first. All but the last are counted together as its rows.
  public var shape: [Int]
  /// How the model's rows follow each other there.
  public var layout: RowLayout

  /// A tensor of its own, or the part of one that `layout` says.
  public init(_ name: String, _ shape: [Int], _ layout: RowLayout = RowLayout()) {
    self.name = name
    self.shape = shape
    self.layout = layout
  }

  /// - Parameter file: path of the checkpoint that holds the tensor.
  /// - Throws: `Failure` `model.tensor-shape` where the tensor that is stored here has another shape.
  package func check(_ stored: CheckpointTensor, file: String) throws(Failure) {
    guard stored.shape != shape else { return }
    throw Failure(
      .data, "model.tensor-shape", "shape is \(stored.shape), but the configuration asks for \(shape)", file: file, tensor: name,
      remedy: "The configuration belongs to another checkpoint, or the file is damaged.")
  }
}

/// How the rows (outputs) of a matrix, or the elements of its bias, lie in a container tensor.
public struct RowLayout: Sendable, Equatable {
  /// Rows of other tensors in front of the first.
  public var firstRow: Int
  /// The order from there on.
  public var order: RowOrder
  /// Whether outputs are the columns of the container's tensor, not its rows.
  public var isTransposed: Bool

  public init(firstRow: Int = 0, order: RowOrder = .same, isTransposed: Bool = false) {
    self.firstRow = firstRow
    self.order = order
    self.isTransposed = isTransposed
  }

  /// The container's row (or column, where transposed) at which the model's `row` stands, for a tensor of `rows` rows.
  public func containerRow(of row: Int, rows: Int) -> Int { firstRow + order.containerRow(of: row, rows: rows) }
}

/// A permutation of rows that a container applies to a matrix (and its bias).
public enum RowOrder: Sendable, Equatable {
  case same
  /// Within each head, row i and row i + half become neighbours: llama.cpp's layout for adjacent-pair rotary embedding.
  case rotaryPairs(headCount: Int)
  /// Heads of `size` rows begin every `stride` rows, with rows of other tensors between.
  case spacedHeads(size: Int, stride: Int)

  /// The container's row at which the model's `row` stands.
  func containerRow(of row: Int, rows: Int) -> Int {
    switch self {
    case .same: return row
    case .rotaryPairs(let headCount):
      let headSize = rows / headCount
      let inHead = row % headSize
      let half = headSize / 2
      return row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1)
    case .spacedHeads(let size, let stride): return row / size * stride + row % size
    }
  }
}
