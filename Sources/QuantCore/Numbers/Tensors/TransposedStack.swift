import Synchronization

/// A stack of matrices `[count, columns, rows]`, each read transposed: `[count, rows, columns]`.
///
/// Callers ask for a few rows at a time, and each call needs a whole matrix: the last one is kept, as floats.
package final class TransposedStack: TensorStorage {
  /// One matrix of the stack.
  private struct Kept {
    var index: Int
    var matrix: Matrix
  }

  /// Stored rows that are decoded at a time.
  private static let stripLength = 32

  private let original: CheckpointTensor
  private let kept = Mutex<Kept?>(nil)

  /// Nil for anything but a numeric tensor of three dimensions.
  package static func tensor(_ original: CheckpointTensor) -> CheckpointTensor? {
    guard original.shape.count == 3, original.storage.isNumeric else { return nil }
    let shape = [original.shape[0], original.shape[2], original.shape[1]]
    return CheckpointTensor(name: original.name, shape: shape, storage: TransposedStack(original))
  }

  private init(_ original: CheckpointTensor) { self.original = original }

  package var schemeName: String { original.storage.schemeName }
  package var byteCount: Int { original.storage.byteCount }
  package var isNumeric: Bool { true }
  package var verbatim: ByteView? { nil }
  /// Bytes of the kept matrix.
  package var workingBytes: Int { original.shape[1] * original.shape[2] * 4 }

  package func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let height = original.shape[2]
    var first = rows.lowerBound
    while first < rows.upperBound {
      let index = first / height
      let last = min(rows.upperBound, (index + 1) * height)
      let matrix = matrix(index)
      let start = (first - index * height) * rowLength
      matrix.values.withUnsafeBufferPointer { values in
        guard let base = values.baseAddress else { return }
        (destination + (first - rows.lowerBound) * rowLength).update(from: base + start, count: (last - first) * rowLength)
      }
      first = last
    }
  }

  /// Threads that want the same matrix wait for the one that computes it.
  private func matrix(_ index: Int) -> Matrix {
    kept.withLock { kept in
      if let kept, kept.index == index { return kept.matrix }
      // Its memory is freed before the next one needs any.
      kept = nil
      let matrix = transposed(index)
      kept = Kept(index: index, matrix: matrix)
      return matrix
    }
  }

  private func transposed(_ index: Int) -> Matrix {
    let columns = original.shape[1], rows = original.shape[2]
    var matrix = Matrix(rows: rows, columns: columns)
    let strip = AlignedScratch(count: TransposedStack.stripLength * rows)
    matrix.values.withUnsafeMutableBufferPointer { values in
      guard let base = values.baseAddress else { return }
      for start in stride(from: 0, to: columns, by: TransposedStack.stripLength) {
        let count = min(TransposedStack.stripLength, columns - start)
        original.decode(rows: index * columns + start..<index * columns + start + count, into: strip.base)
        for row in 0..<rows {
          for column in 0..<count { base[row * columns + start + column] = strip.base[column * rows + row] }
        }
      }
    }
    return matrix
  }
}
