import QuantCore

/// What the methods of this module have in common: the error `E = W − Ŵ` of a rounded matrix is replaced by a product `B·A` of
/// low rank, which clients add as a LoRA adapter. They differ in what an error in a column weighs.
///
/// For weights `H` of the columns, `‖(E − B·A)·H^½‖` is smallest for `B = U` and `A = Uᵀ·E`, where the columns of U are the leading
/// eigenvectors of `E·H·Eᵀ`. Neither a root of H nor its inverse is needed, so that a Gram matrix of few tokens does no harm.
struct LowRankCorrection {
  static func options(rank: Int) -> [OptionDeclaration] {
    [
      OptionDeclaration(name: "rank", summary: "rank of each correction, 1 to 256", defaultValue: "\(rank)"),
      OptionDeclaration(name: "bits", summary: "bits of the corrections' numbers: 16, or 8 in a GGUF", defaultValue: "16"),
    ]
  }

  let shape: CorrectionShape

  /// - Throws: `Failure` if an option's value is out of range.
  init(_ options: OptionValues) throws {
    let bits = try options.choice("bits", of: ["16", "8"])
    shape = CorrectionShape(rank: try options.integer("rank", in: 1...256), bits: bits == "8" ? 8 : 16)
  }

  /// - Parameter isRough: whether a few hundredths of the best possible gain may be missed, for factors that are only a step.
  func factors(for task: CorrectionTask, weights: ColumnWeights, isRough: Bool = false) -> LowRankFactors {
    let found = LeadingDirections(of: task.error, weights: weights, count: task.rank, isRough: isRough, parallel: task.parallel)
    var outputs = Matrix(rows: task.error.rows, columns: task.rank)
    var inputs = Matrix(rows: task.rank, columns: task.error.columns)
    for rank in 0..<found.directions.rows {
      // Both factors get the root of the length, so that short floats hold both well.
      let products = found.products.row(rank)
      let root = products.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot().squareRoot()
      guard root > 0, root.isFinite else { continue }
      for (column, value) in products.enumerated() { inputs[rank, column] = Float(Double(value) / root) }
      for (row, value) in found.directions.row(rank).enumerated() { outputs[row, rank] = Float(Double(value) * root) }
    }
    return LowRankFactors(outputs: outputs, inputs: inputs)
  }
}

/// How much errors in the columns of a matrix weigh.
enum ColumnWeights {
  case equal
  /// One weight for each column.
  case columns([Float])
  /// Σ x xᵀ of the inputs.
  case gram([Float])

  /// The products of some rows with the weights, `X·H`.
  func multiply(_ rows: Matrix, parallel: Parallel) -> Matrix {
    switch self {
    case .equal: rows
    case .columns(let weights): rows.scalingColumns(by: weights)
    // Symmetric, so its rows are its columns.
    case .gram(let gram):
      Matrix.multiplyTransposed(rows, Matrix(rows: rows.columns, columns: rows.columns, values: gram), parallel: parallel)
    }
  }
}

extension Matrix {
  func row(_ index: Int) -> ArraySlice<Float> { values[index * columns..<(index + 1) * columns] }
}
