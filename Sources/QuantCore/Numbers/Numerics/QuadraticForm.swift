extension LinearAlgebra {
  /// Columns of a strip. A product with a strip reads nothing below the diagonal block, because the matrix is symmetric.
  private static let formStrip = 128

  /// `d·H·dᵀ` for each row `d` of `x`, with a symmetric `H`, in about half the operations of the product `x·H`.
  ///
  /// A row's result depends on that row and `H` alone.
  /// - Parameters:
  ///   - gram: the first element of `H`, `[x.columns, x.columns]`; may be a block on the diagonal of a larger matrix.
  ///   - stride: distance between the rows of `H`, in floats.
  ///   - result: `x.rows` floats, overwritten.
  public static func quadraticForms(
    of x: Panel, gram: UnsafePointer<Float>, stride: Int, into result: UnsafeMutablePointer<Float>
  ) {
    result.update(repeating: 0, count: x.rows)
    let rows = Operand(base: x.base, stride: x.rowStride, isDepthContiguous: true)
    let single = Parallel(threads: 1)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, x.rows * min(formStrip, x.columns))) { scratch in
      guard let product = scratch.baseAddress else { return }
      for first in Swift.stride(from: 0, to: x.columns, by: formStrip) {
        let width = min(formStrip, x.columns - first)
        // Elements above the diagonal block count twice: they equal those to its left.
        for (start, depth, factor) in [(0, first, Float(2)), (first, width, 1)] where depth > 0 {
          let columns = Operand(base: gram + start * stride + first, stride: stride, isDepthContiguous: false)
          let left = Operand(base: rows.base + start, stride: rows.stride, isDepthContiguous: true)
          Product(a: left, b: columns, m: x.rows, n: width, k: depth).run(into: product, stride: width, parallel: single)
          for row in 0..<x.rows {
            result[row] += factor * VectorKernels.dot(x.row(row) + first, product + row * width, count: width)
          }
        }
      }
    }
  }
}
