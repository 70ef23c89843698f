import QuantCore

/// The damped Gram matrix whose inverse `InverseFactor` holds, in the order of the columns on disk, without a copy of the sums.
struct DampedGram: Sendable {
  /// Columns and rows.
  let size: Int
  private let sums: [Float]
  private let scale: Float
  /// What is added to the diagonal, after `scale`.
  private let added: [Float]

  init(_ statistics: SiteStatistics, order: VisitingOrder, factor: InverseFactor) {
    size = statistics.channels
    sums = statistics.gram
    scale = factor.scale
    added = (0..<size).map {
      order.diagonal[$0] + Float(factor.damp) - statistics.gram[$0 * statistics.channels + $0] * factor.scale
    }
  }

  subscript(row: Int, column: Int) -> Float { sums[row * size + column] * scale + (row == column ? added[row] : 0) }

  /// `result += H[into, from] * x`.
  /// - Parameters:
  ///   - x: `[from.count, rows]`.
  ///   - result: `[into.count, rows]`.
  func addProduct(
    of from: Range<Int>, _ x: UnsafePointer<Float>, rows: Int, into: Range<Int>, _ result: UnsafeMutablePointer<Float>
  ) {
    guard !into.isEmpty, !from.isEmpty else { return }
    if from.count == 1 {
      for c in into { VectorKernels.axpy(self[from.lowerBound, c], x, result + (c - into.lowerBound) * rows, count: rows) }
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: from.count * rows) { scaled in
      guard let scaled = scaled.baseAddress else { return }
      for i in 0..<from.count * rows { scaled[i] = scale * x[i] }
      sums.withUnsafeBufferPointer { sums in
        guard let base = sums.baseAddress else { return }
        LinearAlgebra.addTransposedProduct(
          base + from.lowerBound * size + into.lowerBound, aStride: size, scaled, m: into.count, n: rows, k: from.count, to: result,
          parallel: Parallel(threads: 1))
      }
    }
    for c in from.clamped(to: into) {
      VectorKernels.axpy(
        added[c], x + (c - from.lowerBound) * rows, result + (c - into.lowerBound) * rows, count: rows)
    }
  }

  /// Runs of `length` columns, those with the loudest inputs first.
  func runsByPower(in columns: Range<Int>, length: Int) -> [Range<Int>] {
    let runs = stride(from: columns.lowerBound, to: columns.upperBound, by: length).map { $0..<min(columns.upperBound, $0 + length) }
    let power = runs.map { run in run.reduce(Float(0)) { $0 + self[$1, $1] } }
    return runs.indices.sorted { power[$0] == power[$1] ? $0 < $1 : power[$0] > power[$1] }.map { runs[$0] }
  }

  /// What is needed to move some columns together.
  struct Solver {
    /// Their part of the matrix, and its inverse.
    let matrix: [Float], inverse: [Float]
    /// Their part with a mean diagonal of 1.
    var metric: [Float] {
      let size = Int(Double(matrix.count).squareRoot())
      let mean = (0..<size).reduce(Float(0)) { $0 + matrix[$1 * size + $1] } / Float(max(1, size))
      return matrix.map { $0 / mean }
    }
  }

  func solver(for run: Range<Int>) -> Solver {
    let count = run.count
    var matrix = [Double](repeating: 0, count: count * count), inverse = matrix
    for i in 0..<count {
      inverse[i * count + i] = 1
      for j in 0..<count { matrix[i * count + j] = Double(self[run.lowerBound + i, run.lowerBound + j]) }
    }
    let original = matrix
    // Gauss-Jordan without pivoting: the matrix is positive definite.
    for i in 0..<count {
      let pivot = matrix[i * count + i]
      for j in 0..<count {
        matrix[i * count + j] /= pivot
        inverse[i * count + j] /= pivot
      }
      for k in 0..<count where k != i {
        let factor = matrix[k * count + i]
        for j in 0..<count {
          matrix[k * count + j] -= factor * matrix[i * count + j]
          inverse[k * count + j] -= factor * inverse[i * count + j]
        }
      }
    }
    return Solver(matrix: original.map(Float.init), inverse: inverse.map(Float.init))
  }
}
