/// Eigenvalues and eigenvectors of a small symmetric matrix, by Jacobi's rotations in cyclic order.
///
/// Source: Golub and Van Loan, *Matrix Computations*, §8.5.
struct SymmetricEigen {
  private(set) var values: [Double]
  /// Row after row.
  private var vectors: [Double]
  private let size: Int

  /// Rotations stop when what is off the diagonal is this small, relative to the whole matrix; the number of sweeps is bounded in any case.
  private static let (tolerance, sweeps) = (1e-13, 30)

  /// - Parameter matrix: `[size, size]`; the mean of both triangles counts.
  init(_ matrix: [Double], size: Int) {
    var a = matrix
    for i in 0..<size {
      for j in 0..<i {
        let mean = (matrix[i * size + j] + matrix[j * size + i]) / 2
        a[i * size + j] = mean
        a[j * size + i] = mean
      }
    }
    var v = [Double](repeating: 0, count: size * size)
    for i in 0..<size { v[i * size + i] = 1 }
    let whole = a.reduce(0) { $0 + $1 * $1 }
    a.withUnsafeMutableBufferPointer { a in
      v.withUnsafeMutableBufferPointer { v in
        for _ in 0..<SymmetricEigen.sweeps {
          var rest = 0.0
          for i in 0..<size { for j in 0..<i { rest += 2 * a[i * size + j] * a[i * size + j] } }
          guard rest > SymmetricEigen.tolerance * SymmetricEigen.tolerance * whole, rest.isFinite else { break }
          for p in 0..<max(0, size - 1) {
            for q in p + 1..<size { SymmetricEigen.rotate(a, v, p, q, size) }
          }
        }
      }
    }
    values = (0..<size).map { a[$0 * size + $0] }
    vectors = v
    self.size = size
  }

  /// Indices of the eigenvalues, the largest first.
  var order: [Int] { values.indices.sorted { (values[$1], $0) < (values[$0], $1) } }

  func vector(_ index: Int) -> ArraySlice<Double> { vectors[index * size..<(index + 1) * size] }

  /// Makes the element in row p and column q zero.
  private static func rotate(
    _ a: UnsafeMutableBufferPointer<Double>, _ v: UnsafeMutableBufferPointer<Double>, _ p: Int, _ q: Int, _ size: Int
  ) {
    let off = a[p * size + q]
    guard off != 0 else { return }
    let ratio = (a[q * size + q] - a[p * size + p]) / (2 * off)
    let tangent = (ratio < 0 ? -1 : 1) / (ratio.magnitude + (1 + ratio * ratio).squareRoot())
    let cosine = 1 / (1 + tangent * tangent).squareRoot()
    let sine = tangent * cosine
    for k in 0..<size {
      let (x, y) = (a[p * size + k], a[q * size + k])
      a[p * size + k] = cosine * x - sine * y
      a[q * size + k] = sine * x + cosine * y
      let (s, t) = (v[p * size + k], v[q * size + k])
      v[p * size + k] = cosine * s - sine * t
      v[q * size + k] = sine * s + cosine * t
    }
    for k in 0..<size {
      let (x, y) = (a[k * size + p], a[k * size + q])
      a[k * size + p] = cosine * x - sine * y
      a[k * size + q] = sine * x + cosine * y
    }
  }
}
