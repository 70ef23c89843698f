/// A rectangle of a weight matrix as 32-bit floats, borrowed for the duration of a call.
public struct Panel {
  /// The first weight.
  public let base: UnsafePointer<Float>
  /// Rows of the rectangle.
  public let rows: Int
  /// Columns of the rectangle.
  public let columns: Int
  /// Distance between the starts of two rows, in floats.
  public let rowStride: Int

  /// - Precondition: `base` stays valid while the panel is used.
  public init(base: UnsafePointer<Float>, rows: Int, columns: Int, rowStride: Int) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
  }

  /// Pointer to the first weight of a row.
  @inlinable public func row(_ index: Int) -> UnsafePointer<Float> { base + index * rowStride }
}

extension Matrix {
  /// Calls `body` with a panel of some rows and columns of the matrix.
  public func withPanel<Result>(
    rows: Range<Int>? = nil, columns: Range<Int>? = nil, _ body: (Panel) throws -> Result
  ) rethrows -> Result {
    let rows = rows ?? 0..<self.rows
    let columns = columns ?? 0..<self.columns
    return try values.withUnsafeBufferPointer { buffer in
      // An empty matrix has no base address; a dangling one is never read because the panel is empty.
      let base = buffer.baseAddress ?? UnsafePointer(bitPattern: 16).unsafelyUnwrapped
      return try body(
        Panel(
          base: base + rows.lowerBound * self.columns + columns.lowerBound, rows: rows.count, columns: columns.count,
          rowStride: self.columns))
    }
  }
}
