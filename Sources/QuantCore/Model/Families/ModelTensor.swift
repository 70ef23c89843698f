import QuantPlatform

/// One tensor of the model, as methods and the engine see it, with its place in each naming.
///
/// Formats concatenate, stack, reorder or transpose the model's tensors, or store other values instead (`w` for a gain of `1 + w`):
/// one stored tensor may hold several of them.
public struct ModelTensor: Sendable {
  /// Identifies it in the model: role, block and expert.
  public var id: TensorID
  /// Dimensions in the model: `[out, in]`, or one dimension for a vector.
  public var shape: [Int]
  /// How it is treated in quantization.
  public var kind: TensorKind
  /// Its place in each naming; absent: formats of that naming do not store it.
  public var places: [Naming: TensorPlace]
  /// Its place where clients look for the codes of a matrix that its floats are only a part of: experts, which a folder may hold in one
  /// stack as floats, but one by one as codes. Absent: the same place.
  public var placesOfCodes: [Naming: TensorPlace] = [:]
  /// Whether a checkpoint may lack it (biases that only some models have, a tied output matrix).
  public var isOptional: Bool

  public init(id: TensorID, shape: [Int], kind: TensorKind, places: [Naming: TensorPlace], isOptional: Bool = false) {
    self.id = id
    self.shape = shape
    self.kind = kind
    self.places = places
    self.isOptional = isOptional
  }

  /// Its place in a naming.
  public func place(_ naming: Naming) -> TensorPlace? { places[naming] }
  /// Name of the stored tensor that holds it, or nil if formats of this naming do not store it.
  public func name(_ naming: Naming) -> String? { place(naming)?.name }
}

/// Where a tensor of the model is stored: as a separate tensor, or within a larger one.
///
/// A separate matrix in the model's order may have fewer rows than that of the model, whose others are zero then.
public struct TensorPlace: Sendable, Hashable {
  /// Name of the stored tensor.
  public var name: String
  /// Dimensions of the stored tensor, outermost first. All but the last together count its rows.
  public var shape: [Int]
  /// How the model's rows are arranged there.
  public var layout: RowLayout
  /// The schemes in which clients expect this tensor, whatever the others have: the one asked for the whole model if it is among them,
  /// else the first. Empty: any.
  public var schemes: [String] = []
  /// The dimensions that a stored tensor of floats states instead of `shape`, if clients see its rows divided or joined; nil: `shape`.
  public var dimensions: [Int]?

  /// A whole stored tensor, or the part of one that `layout` describes.
  public init(_ name: String, _ shape: [Int], _ layout: RowLayout = RowLayout()) {
    self.name = name
    self.shape = shape
    self.layout = layout
  }

  /// The same place with the matrices of the stored tensor transposed.
  package var turned: TensorPlace {
    var place = self
    place.layout.isTransposed.toggle()
    if shape.count > 1 { place.shape.swapAt(shape.count - 2, shape.count - 1) }
    return place
  }

  /// Whether a stored tensor may have these dimensions. Outer dimensions of 1 may be absent: ggml drops them, so a matrix of one row may be
  /// stored as a vector.
  package func accepts(_ stored: [Int]) -> Bool { [shape, Array(shape.drop { $0 == 1 }), dimensions].contains(stored) }

  /// Checks the shape of the stored tensor.
  /// - Parameter file: path of the checkpoint that holds the tensor.
  /// - Throws: `Failure` `model.tensor-shape` if the stored tensor has another shape.
  package func check(_ stored: CheckpointTensor, file: String) throws(Failure) {
    if accepts(stored.shape) { return }
    if stored.shape.contains(0) {
      throw Failure(
        .data, "model.tensor-empty", "holds nothing: sharded training left a placeholder of it", file: file, tensor: name,
        remedy: "Gather the weights in the program for training when it saves (for DeepSpeed: zero_to_fp32.py), and give the result.")
    }
    throw Failure(
      .data, "model.tensor-shape", "shape is \(stored.shape), but the configuration asks for \(shape)", file: file, tensor: name,
      remedy: "Check that the configuration belongs to this checkpoint, and that the file is not damaged.")
  }
}

/// How the rows (outputs) of a matrix, or the elements of its bias, are arranged in a stored tensor.
///
/// The model's row `r` is the stored output `firstRow + order(r)`. Stored outputs are the rows of the tensor or, if it is transposed,
/// the columns of its matrices, counted through the stack. In addition, columns may be permuted and values changed.
public struct RowLayout: Sendable, Hashable {
  /// Outputs of other tensors before the first.
  public var firstRow: Int
  /// The order from there on.
  public var order: RowOrder
  /// Whether outputs are the columns of the stored matrices, not their rows. A tensor of three dimensions is a stack of such
  /// matrices, `[count, inputs, outputs]`.
  public var isTransposed: Bool
  /// The order of inputs.
  public var columns: ColumnOrder
  /// Which values are stored.
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

  /// The stored row (or column, if transposed) that holds the model's `row`, for a tensor of `rows` rows.
  public func containerRow(of row: Int, rows: Int) -> Int { firstRow + order.containerRow(of: row, rows: rows) }

  /// Whether each row of the model is a stored row, value for value.
  var keepsRows: Bool { !isTransposed && columns == .same && values == .same }
}

/// A permutation of rows that a format applies to a matrix (and its bias).
public enum RowOrder: Sendable, Hashable {
  case same
  /// Within each head, rows i and i + half become neighbours: llama.cpp's layout for rotary embedding of adjacent pairs.
  case rotaryPairs(headCount: Int)
  /// Heads of `size` rows begin every `stride` rows, with rows of other tensors between.
  case spacedHeads(size: Int, stride: Int)
  /// From row `first` on, units of `size` rows in `groups` equal groups: first the first unit of every group, then the second of each.
  case unitsByTurns(first: Int, size: Int, groups: Int)

  /// The stored row that holds the model's `row`.
  func containerRow(of row: Int, rows: Int) -> Int {
    switch self {
    case .same: return row
    case .rotaryPairs(let headCount):
      let headSize = rows / headCount
      let inHead = row % headSize
      let half = headSize / 2
      return row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1)
    case .spacedHeads(let size, let stride): return row / size * stride + row % size
    case .unitsByTurns(let first, let size, let groups):
      guard row >= first else { return row }
      let perGroup = max(1, (rows - first) / size / groups)
      let (unit, inUnit) = (row - first).quotientAndRemainder(dividingBy: size)
      return first + (unit % perGroup * groups + unit / perGroup) * size + inUnit
    }
  }
}

/// A permutation of columns that a format applies to a matrix.
///
/// Rounding sees the stored order: groups are formed of stored columns.
public enum ColumnOrder: Sendable, Hashable {
  case same
  /// The model's unit `i` of `size` columns is the stored unit `units[i]`.
  case units(size: Int, [Int])

  /// The stored column that holds the model's `column`.
  package func containerColumn(of column: Int) -> Int {
    switch self {
    case .same: column
    case .units(let size, let units): units[column / size] * size + column % size
    }
  }
}

/// What a format stores instead of the model's weights. Codes cannot be converted by such a map, and rounding sees the stored values.
public enum ValueMap: Sendable, Hashable {
  case same
  /// The model's weight is the stored value plus a constant: gains of `1 + w`.
  case plus(Float)
  /// The model's weight is the stored value times constants other than zero, one after another.
  case times([Float])
  /// The model's weight `a` is stored as `log(−a)`: decay rates of state-space models.
  case negatedExponential
  /// The model's weight is `log(1 + exp(w))` of the stored value, and so never negative.
  case softplus

  /// The product with constants of which some may be 1.
  public static func product(_ factors: [Double]) -> ValueMap {
    let others = factors.filter { $0 != 1 }
    return others.isEmpty ? .same : .times(others.map { Float($0) })
  }

  /// The model's weight for a stored value.
  package func model(_ stored: Float) -> Float {
    switch self {
    case .same: stored
    case .plus(let constant): stored + constant
    case .times(let factors): factors.reduce(stored, *)
    // In doubles, so that rounding to float hides differences between C libraries.
    case .negatedExponential: Float(-exp(Double(stored)))
    // Beyond 20, the sum is the value itself, as far as a float shows.
    case .softplus: stored > 20 ? stored : Float(log1p(exp(Double(stored))))
    }
  }

  /// The stored value for a weight of the model.
  package func stored(_ model: Float) -> Float {
    switch self {
    case .same: model
    case .plus(let constant): model - constant
    case .times(let factors): factors.reversed().reduce(model, /)
    case .negatedExponential: Float(log(-Double(model)))
    case .softplus: model > 20 ? model : Float(log(expm1(Double(model))))
    }
  }

  /// How a plan describes the stored values.
  package var note: String? {
    switch self {
    case .same: nil
    case .plus(let constant): "stored minus \(constant)"
    case .times(let factors): "stored divided by \(factors.map { "\($0)" }.joined(separator: " and "))"
    case .negatedExponential: "stored as log(-x)"
    case .softplus: "stored as log(exp(x) - 1)"
    }
  }
}
