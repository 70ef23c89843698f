/// A working copy in 32-bit floats: `rows × columns`, row-major, contiguous.
///
/// A weight matrix is `[out, in]`: a row holds the weights of one output channel.
public struct Matrix: Sendable, Equatable {
  /// Output channels.
  public let rows: Int
  /// Input channels.
  public let columns: Int
  /// `rows * columns` values, row after row.
  public var values: [Float]

  public init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns, "a matrix holds rows * columns values")
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// A matrix of zeros.
  public init(rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns, values: [Float](repeating: 0, count: rows * columns))
  }

  /// A matrix whose values are all written by `fill`: nothing is set to zero first.
  package init(rows: Int, columns: Int, filledBy fill: (UnsafeMutablePointer<Float>) -> Void) {
    let values = [Float](unsafeUninitializedCapacity: rows * columns) { buffer, count in
      count = rows * columns
      if let base = buffer.baseAddress { fill(base) }
    }
    self.init(rows: rows, columns: columns, values: values)
  }

  /// One value; both indices from 0.
  public subscript(row: Int, column: Int) -> Float {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }
}
