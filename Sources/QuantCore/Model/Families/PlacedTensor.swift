/// A tensor of the model at its place in a checkpoint: decodes the model's weights in the model's own order.
package struct PlacedTensor: Sendable {
  private let stored: CheckpointTensor
  private let layout: RowLayout
  /// Dimensions in the model.
  package let shape: [Int]

  /// - Parameters:
  ///   - place: its place according to the description of the model.
  ///   - shape: its dimensions in the model.
  ///   - file: path of the checkpoint, for messages.
  /// - Throws: `Failure` `model.tensor-shape` if the stored tensor does not have the shape of the place: decoding would overrun the
  ///   buffers of callers.
  package init(_ stored: CheckpointTensor, at place: TensorPlace, shape: [Int], file: String) throws(Failure) {
    try place.check(stored, file: file)
    self.stored = stored
    layout = place.layout
    self.shape = shape
  }

  /// A stored tensor as it is.
  package init(whole stored: CheckpointTensor) {
    self.stored = stored
    layout = RowLayout()
    shape = stored.shape
  }

  /// Whether outputs are columns of the stored tensor.
  package var isTransposed: Bool { layout.isTransposed }

  private var rows: Int { shape.dropLast().reduce(1, *) }
  private var columns: Int { shape.last ?? 1 }

  /// Decodes some rows of a matrix. If outputs are stored columns, every call reads all rows of the stored matrices.
  /// - Precondition: `range` lies within the matrix.
  package func decode(rows range: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows outside of the matrix")
    if layout.isTransposed {
      decodeColumns(range, of: 0..<columns, into: destination)
    } else if layout.order == .same {
      let held = range.clamped(to: 0..<max(0, stored.rowCount - layout.firstRow))
      let first = held.lowerBound - range.lowerBound
      if held.count < range.count { destination.update(repeating: 0, count: range.count * columns) }
      guard !held.isEmpty else { return }
      stored.decode(
        rows: layout.firstRow + held.lowerBound..<layout.firstRow + held.upperBound, into: destination + first * columns)
      restore(held.count, at: destination + first * columns)
    } else {
      for row in range {
        let from = layout.containerRow(of: row, rows: rows)
        stored.decode(rows: from..<from + 1, into: destination + (row - range.lowerBound) * columns)
      }
      restore(range.count, at: destination)
    }
  }

  /// Turns decoded stored rows into the model's: first the order of columns, then the values.
  private func restore(_ count: Int, at base: UnsafeMutablePointer<Float>) {
    if layout.columns != .same {
      let row = AlignedScratch(count: columns)
      for start in stride(from: 0, to: count * columns, by: max(1, columns)) {
        row.base.update(from: base + start, count: columns)
        for c in 0..<columns { base[start + c] = row.base[layout.columns.containerColumn(of: c)] }
      }
    }
    restoreValues(count * columns, at: base)
  }

  private func restoreValues(_ count: Int, at base: UnsafeMutablePointer<Float>) {
    guard layout.values != .same else { return }
    for i in 0..<count { base[i] = layout.values.model(base[i]) }
  }

  /// Decodes the outputs `range` at some inputs, which are rows of the stored matrices.
  /// - Parameter destination: begins with the first output at input 0.
  private func decodeColumns(_ range: Range<Int>, of inputs: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    let width = stored.rowLength
    let row = AlignedScratch(count: width)
    var first = range.lowerBound
    while first < range.upperBound {
      // Outputs in the same matrix of the stack.
      let matrix = layout.containerRow(of: first, rows: rows) / width
      var last = first + 1
      while last < range.upperBound, layout.containerRow(of: last, rows: rows) / width == matrix { last += 1 }
      for input in inputs {
        let from = matrix * columns + layout.columns.containerColumn(of: input)
        stored.decode(rows: from..<from + 1, into: row.base)
        for output in first..<last {
          let value = row.base[layout.containerRow(of: output, rows: rows) - matrix * width]
          destination[(output - range.lowerBound) * columns + input] = layout.values.model(value)
        }
      }
      first = last
    }
  }

  /// The whole matrix `[out, in]`.
  package func matrix(parallel: Parallel) -> Matrix {
    var matrix = Matrix(rows: rows, columns: columns)
    let pieces = layout.isTransposed ? columns : rows
    // Pieces of about 2^18 weights: long enough to amortize the setup of a decoder.
    let piece = max(1, (1 << 18) / max(1, layout.isTransposed ? stored.rowLength : columns))
    matrix.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(pieces, piece: piece) { range in
        if layout.isTransposed {
          decodeColumns(0..<rows, of: range, into: target.base)
        } else {
          decode(rows: range, into: target.base + range.lowerBound * columns)
        }
      }
    }
    return matrix
  }

  /// A vector (norm gain, bias).
  package func vector() -> [Float] {
    let values = stored.matrix().values
    guard layout != RowLayout() || columns != values.count else { return values }
    return (0..<columns).map { layout.values.model(values[layout.containerRow(of: $0, rows: columns)]) }
  }
}
