/// What flows from block to block besides hidden states, with the place of each value.
struct CarriedColumns: Sendable {
  private var matrix: Matrix
  private var first: [CarriedValue: Int] = [:]

  /// Takes these columns off what flows between blocks; nil if the model has none.
  /// - Parameter states: `[tokens, stateWidth]`; hidden states alone remain.
  init?(of model: ModelDescription, splitFrom states: inout Matrix) {
    let carried = model.carried
    guard !carried.isEmpty else { return nil }
    let width = states.columns - carried.reduce(0) { $0 + $1.width }
    var next = 0
    for value in carried {
      first[value] = next
      next += value.width
    }
    matrix = states.selecting(columns: width..<states.columns)
    states = states.selecting(columns: 0..<width)
  }

  /// Columns that are not set yet, beside hidden states.
  init?(of model: ModelDescription, beside states: Matrix) {
    var states = Matrix(rows: states.rows, columns: states.columns + model.stateWidth - model.hiddenSize)
    self.init(of: model, splitFrom: &states)
  }

  /// Puts the columns behind hidden states again.
  func join(to states: inout Matrix) {
    var joined = Matrix(rows: states.rows, columns: states.columns + matrix.columns)
    joined.replace(columnsFrom: 0, rows: 0..<states.rows, by: states)
    joined.replace(columnsFrom: states.columns, rows: 0..<states.rows, by: matrix)
    states = joined
  }

  /// A value of some tokens.
  subscript(value: CarriedValue, rows: Range<Int>) -> Matrix {
    guard let start = first[value] else { return Matrix(rows: rows.count, columns: value.width) }
    return matrix.rows(rows).selecting(columns: start..<start + value.width)
  }

  mutating func set(_ value: CarriedValue, _ rows: Range<Int>, _ values: Matrix) {
    if let start = first[value] { matrix.replace(columnsFrom: start, rows: rows, by: values) }
  }
}
