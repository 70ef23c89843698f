/// Makes the lanes of a model of its embedding, and one hidden state of them after the last block.
struct LaneProjections: Sendable {
  let lanes: Lanes
  /// For each lane but the first.
  private let inputs: [Matrix]
  private let outputs: [Matrix]
  private let parallel: Parallel

  /// Mean squares less than this count as this.
  private static let leastMeanSquare = 1e-5

  init(_ lanes: Lanes, _ weights: ModelWeights, parallel: Parallel) {
    self.lanes = lanes
    self.parallel = parallel
    func matrices(_ role: (Int) -> TensorRole) -> [Matrix] {
      (1..<max(1, lanes.count)).compactMap { weights.matrix(TensorID(role($0)), parallel: parallel) }
    }
    inputs = matrices(TensorRole.laneInput)
    outputs = matrices(TensorRole.laneOutput)
  }

  /// All lanes of some tokens, one after another.
  func spread(_ embedded: Matrix) -> Matrix {
    var result = Matrix(rows: embedded.rows, columns: lanes.value.width)
    result.replace(columnsFrom: 0, rows: 0..<embedded.rows, by: embedded)
    for (index, matrix) in inputs.enumerated() {
      let lane = projected(embedded, matrix, like: embedded)
      result.replace(columnsFrom: lanes.columns(index + 1).lowerBound, rows: 0..<embedded.rows, by: lane)
    }
    return result
  }

  /// The mean of all lanes, the projected ones.
  func merged(_ all: Matrix) -> Matrix {
    let first = all.selecting(columns: lanes.columns(0))
    var sum = first
    for (index, matrix) in outputs.enumerated() {
      sum.add(projected(all.selecting(columns: lanes.columns(index + 1)), matrix, like: first), at: 0..<sum.rows)
    }
    sum.scale(rows: 0..<sum.rows, by: 1 / Float(lanes.count))
    return sum
  }

  /// The product with a matrix, scaled to the root mean square of other hidden states of the same tokens.
  private func projected(_ x: Matrix, _ matrix: Matrix, like model: Matrix) -> Matrix {
    var result = Matrix.multiplyTransposed(x, matrix, parallel: parallel)
    for row in 0..<result.rows {
      let (wanted, found) = (model.meanSquare(row), max(result.meanSquare(row), LaneProjections.leastMeanSquare))
      result.scale(row: row, by: Float((wanted / found).squareRoot()))
    }
    return result
  }
}

extension Matrix {
  /// In doubles.
  fileprivate func meanSquare(_ row: Int) -> Double {
    (0..<columns).reduce(0.0) { $0 + Double(self[row, $1]) * Double(self[row, $1]) } / Double(max(1, columns))
  }
}
