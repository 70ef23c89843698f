import QuantPlatform

/// One tensor of the model, as methods and the engine see it, with its place in each container.
///
/// Containers concatenate, stack, reorder or transpose the model's tensors, or store other numbers instead (`w` for a gain of
/// `1 + w`): several of them may lie in one container tensor.
public struct ModelTensor: Sendable {
  /// Its part in the model.
  public var id: TensorID
  /// Dimensions in the model: `[out, in]`, or one for a vector.
  public var shape: [Int]
  /// What follows from its nature.
  public var kind: TensorKind
  /// Where each kind of container holds it; absent: such a container has no place for it.
  public var places: [Naming: TensorPlace]
  /// Whether a checkpoint may lack it (biases that some models have, a tied output).
  public var isOptional: Bool

  public init(id: TensorID, shape: [Int], kind: TensorKind, places: [Naming: TensorPlace], isOptional: Bool = false) {
    self.id = id
    self.shape = shape
    self.kind = kind
    self.places = places
    self.isOptional = isOptional
  }

  /// Its place under a convention.
  public func place(_ naming: Naming) -> TensorPlace? { places[naming] }
  /// Name of the container's tensor that holds it, or nil where such a container has no place for it.
  public func name(_ naming: Naming) -> String? { place(naming)?.name }
}

/// Where a tensor of the model lies in a container: as a tensor of its own, or as a part of a larger one.
public struct TensorPlace: Sendable, Hashable {
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

  /// The same place in a container that holds the matrices of the tensor the other way round.
  package var turned: TensorPlace {
    var place = self
    place.layout.isTransposed.toggle()
    if shape.count > 1 { place.shape.swapAt(shape.count - 2, shape.count - 1) }
    return place
  }

  /// Outer dimensions of 1 do not count: ggml drops them, so that a matrix of one row may be stored as a vector.
  /// - Parameter file: path of the checkpoint that holds the tensor.
  /// - Throws: `Failure` `model.tensor-shape` where the tensor that is stored here has another shape.
  package func check(_ stored: CheckpointTensor, file: String) throws(Failure) {
    guard stored.shape.drop(while: { $0 == 1 }) != shape.drop(while: { $0 == 1 }) else { return }
    throw Failure(
      .data, "model.tensor-shape", "shape is \(stored.shape), but the configuration asks for \(shape)", file: file, tensor: name,
      remedy: "The configuration belongs to another checkpoint, or the file is damaged.")
  }
}

/// How the rows (outputs) of a matrix, or the elements of its bias, lie in a container tensor.
///
/// The model's row `r` is the container's output `firstRow + order(r)`. Outputs are the container's rows or, where it is transposed,
/// the columns of its matrices, counted through a stack of them. Then columns may change their places, and each number its value.
public struct RowLayout: Sendable, Hashable {
  /// Outputs of other tensors in front of the first.
  public var firstRow: Int
  /// The order from there on.
  public var order: RowOrder
  /// Whether outputs are the columns of the container's matrices, not their rows. A tensor of three dimensions is a stack of such
  /// matrices, `[count, inputs, outputs]`.
  public var isTransposed: Bool
  /// The order of inputs.
  public var columns: ColumnOrder
  /// Which numbers are stored.
  public var values: ValueMap

  public init(
    firstRow: Int = 0, order: RowOrder = .same, isTransposed: Bool = false, columns: ColumnOrder = .same, values: ValueMap = .same
  ) {
    self.firstRow = firstRow
    self.order = order
    self.isTransposed = isTransposed
    self.columns = columns
    self.values = values
  }

  /// The container's row (or column, where transposed) at which the model's `row` stands, for a tensor of `rows` rows.
  public func containerRow(of row: Int, rows: Int) -> Int { firstRow + order.containerRow(of: row, rows: rows) }

  /// Whether each row of the model is a row of the container, number for number.
  var keepsRows: Bool { !isTransposed && columns == .same && values == .same }
}

/// A permutation of rows that a container applies to a matrix (and its bias).
public enum RowOrder: Sendable, Hashable {
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

/// A permutation of columns that a container applies to a matrix.
///
/// Rounding sees the container's order: groups of columns are the container's.
public enum ColumnOrder: Sendable, Hashable {
  case same
  /// The model's unit `i` of `size` columns is the container's unit `units[i]`.
  case units(size: Int, [Int])

  /// The container's column at which the model's `column` stands.
  package func containerColumn(of column: Int) -> Int {
    switch self {
    case .same: column
    case .units(let size, let units): units[column / size] * size + column % size
    }
  }
}

/// What a container stores instead of the model's numbers. Codes of quantized weights cannot pass through one, and rounding sees
/// what is stored.
public enum ValueMap: Sendable, Hashable {
  case same
  /// The model's number is the stored one plus a constant: gains of `1 + w`.
  case plus(Float)
  /// The model's number is the stored one times a constant other than zero.
  case times(Float)
  /// The model's number `a` is stored as `log(−a)`: decay rates of state-space models.
  case negatedExponential

  /// The model's number for a stored one.
  package func model(_ stored: Float) -> Float {
    switch self {
    case .same: stored
    case .plus(let constant): stored + constant
    case .times(let factor): stored * factor
    // In doubles, so that rounding hides differences between C libraries.
    case .negatedExponential: Float(-exp(Double(stored)))
    }
  }

  /// What is stored for a number of the model.
  package func stored(_ model: Float) -> Float {
    switch self {
    case .same: model
    case .plus(let constant): model - constant
    case .times(let factor): model / factor
    case .negatedExponential: Float(log(-Double(model)))
    }
  }

  /// How a plan names the change to what is stored.
  package var note: String? {
    switch self {
    case .same: nil
    case .plus(let constant): "stored minus \(constant)"
    case .times(let factor): "stored divided by \(factor)"
    case .negatedExponential: "stored as log(-x)"
    }
  }
}
