extension Matrix {
  /// A range of rows.
  package func rows(_ range: Range<Int>) -> Matrix {
    Matrix(rows: range.count, columns: columns, values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }

  /// A range of columns.
  func selecting(columns range: Range<Int>) -> Matrix {
    var result = Matrix(rows: rows, columns: range.count)
    for row in 0..<rows {
      for c in range { result.values[row * range.count + c - range.lowerBound] = values[row * columns + c] }
    }
    return result
  }

  /// Replaces some columns of some rows by those of another matrix.
  mutating func replace(columnsFrom first: Int, rows: Range<Int>, by other: Matrix) {
    for row in rows {
      let source = (row - rows.lowerBound) * other.columns
      for c in 0..<other.columns { values[row * columns + first + c] = other.values[source + c] }
    }
  }

  /// Chosen rows, in the given order.
  func rows(_ chosen: [Int]) -> Matrix {
    Matrix(rows: chosen.count, columns: columns, values: chosen.flatMap { values[$0 * columns..<($0 + 1) * columns] })
  }

  /// Replaces some rows by those of another matrix.
  mutating func replace(_ rows: Range<Int>, by other: Matrix) {
    let start = rows.lowerBound * columns
    for i in other.values.indices { values[start + i] = other.values[i] }
  }

  /// Adds the rows of another matrix, times a factor, to some rows.
  mutating func add(_ x: Matrix, at rows: Range<Int>, times factor: Float = 1) {
    let start = rows.lowerBound * columns
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { VectorKernels.axpy(factor, x.values, base + start, count: x.values.count) }
    }
  }

  /// Adds a row of another matrix, times a factor, to one row.
  mutating func add(_ x: Matrix, row: Int, times factor: Float, at target: Int) {
    for c in 0..<columns { values[target * columns + c] += factor * x.values[row * columns + c] }
  }

  /// Adds some columns of a row of another matrix, times a factor, to as many columns of one row.
  mutating func add(_ x: Matrix, row: Int, columns source: Range<Int>, times factor: Float, at target: Int, columnsFrom first: Int) {
    let (width, columns) = (x.columns, columns)
    values.withUnsafeMutableBufferPointer { values in
      x.values.withUnsafeBufferPointer { x in
        guard let values = values.baseAddress, let added = x.baseAddress else { return }
        VectorKernels.axpy(
          factor, added + row * width + source.lowerBound, values + target * columns + first, count: source.count)
      }
    }
  }

  /// Multiplies some rows by a factor.
  mutating func scale(rows: Range<Int>, by factor: Float) {
    for i in rows.lowerBound * columns..<rows.upperBound * columns { values[i] *= factor }
  }

  /// Multiplies a row by a factor.
  mutating func scale(row: Int, by factor: Float) {
    for c in 0..<columns { values[row * columns + c] *= factor }
  }
}
