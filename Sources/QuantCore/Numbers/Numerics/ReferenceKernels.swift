/// Readable twins of the C kernels: what they compute, without the blocks, lanes or packing that do not change the
/// result. Slow; tests compare the kernels with them.
enum ReferenceKernels {
  /// `a * bᵀ` in the summation order of `LinearAlgebra`, with fused multiply-add or without.
  static func multiplyTransposed(_ a: Matrix, _ b: Matrix, isFused: Bool) -> Matrix {
    var result = Matrix(rows: a.rows, columns: b.rows)
    for i in 0..<a.rows {
      for j in 0..<b.rows {
        var total: Float = 0
        for start in stride(from: 0, to: a.columns, by: LinearAlgebra.depthBlock) {
          var sum: Float = 0
          for p in start..<min(a.columns, start + LinearAlgebra.depthBlock) {
            sum = isFused ? sum.addingProduct(a[i, p], b[j, p]) : sum + a[i, p] * b[j, p]
          }
          total = start == 0 ? sum : total + sum
        }
        result[i, j] = total
      }
    }
    return result
  }

  /// The transpose: `xᵀ x` is `multiplyTransposed(xᵀ, xᵀ)`.
  static func transpose(_ x: Matrix) -> Matrix {
    var result = Matrix(rows: x.columns, columns: x.rows)
    for i in 0..<x.rows {
      for j in 0..<x.columns { result[j, i] = x[i, j] }
    }
    return result
  }

  /// A sum in 16 lanes that are added pairwise.
  static func laneSum(_ terms: [Float]) -> Float {
    var lanes = [Float](repeating: 0, count: 16)
    for (i, term) in terms.enumerated() { lanes[i % 16] += term }
    while lanes.count > 1 {
      let half = lanes.count / 2
      lanes = (0..<half).map { lanes[$0] + lanes[$0 + half] }
    }
    return lanes[0]
  }

  static func dot(_ x: [Float], _ y: [Float]) -> Float { laneSum(zip(x, y).map { $0 * $1 }) }

  static func rootMeanSquareNorm(_ x: [Float], gain: [Float], epsilon: Float) -> [Float] {
    let factor = 1 / (dot(x, x) / Float(x.count) + epsilon).squareRoot()
    return zip(x, gain).map { $1 * ($0 * factor) }
  }

  /// Magnitudes counted in bins of equal width; the last bin also counts everything beyond.
  static func magnitudeCounts(_ x: [Float], width: Double, bins: Int) -> [UInt64] {
    var counts = [UInt64](repeating: 0, count: bins)
    for value in x where value.isFinite { counts[Int(min(Double(bins - 1), Double(value.magnitude) / width))] += 1 }
    return counts
  }

  static func rotate(_ x: [Float], cosine: [Float], sine: [Float]) -> [Float] {
    let half = x.count / 2
    return (0..<half).map { x[$0] * cosine[$0] - x[$0 + half] * sine[$0] }
      + (0..<half).map { x[$0 + half] * cosine[$0] + x[$0] * sine[$0] }
  }
}
