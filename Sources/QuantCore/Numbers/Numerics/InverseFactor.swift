extension LinearAlgebra {
  /// Rows and columns of one step of the factorization.
  private static let factorBlock = 128

  /// Replaces a symmetric positive definite matrix `A` by `U`, upper triangular with `A⁻¹ = Uᵀ·U` (zeros below).
  ///
  /// With rows and columns in reverse order, `J·A·J = Cᵀ·C` is one Cholesky factorization, and `U = J·(C⁻¹)ᵀ·J`: neither
  /// `A⁻¹` nor its factor is ever computed from an inverse, which is both cheaper and more accurate. Diagonal blocks are
  /// factored and inverted in double precision; everything else is matrix products.
  /// - Parameters:
  ///   - matrix: `[size, size]`; undefined after a failure.
  /// - Returns: whether the matrix is positive definite in this arithmetic (false also for values that are not finite).
  public static func replaceByInverseFactor(_ matrix: inout [Float], size: Int, parallel: Parallel) -> Bool {
    precondition(matrix.count == size * size, "the matrix is square")
    // Reversing both rows and columns of a row-major matrix is reversing its elements.
    matrix.reverse()
    guard let inverses = factor(&matrix, size: size, parallel: parallel) else { return false }
    invert(&matrix, size: size, diagonal: inverses, parallel: parallel)
    antiTranspose(&matrix, size: size)
    return true
  }

  /// Replaces the upper triangle of `A` by `C` with `A = Cᵀ·C`.
  /// - Returns: the inverses of the diagonal blocks of `Cᵀ` (lower triangular), or nil if a pivot is not positive.
  private static func factor(_ matrix: inout [Float], size: Int, parallel: Parallel) -> [[Float]]? {
    var inverses: [[Float]] = []
    let isDefinite = matrix.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return true }
      for first in stride(from: 0, to: size, by: factorBlock) {
        let count = min(factorBlock, size - first)
        let corner = base + first * size + first
        guard let inverse = factorDiagonal(corner, stride: size, count: count) else { return false }
        let rest = size - first - count
        if rest > 0 {
          // The rows of C: the inverse of the corner's factor, times the rows of A.
          let strip = corner + count
          multiplyInPlace(inverse, strip, count: count, columns: rest, stride: size, parallel: parallel)
          var negative = [Float](repeating: 0, count: count * rest)
          for i in 0..<count {
            for j in 0..<rest { negative[i * rest + j] = -strip[i * size + j] }
          }
          negative.withUnsafeBufferPointer { negative in
            guard let negative = negative.baseAddress else { return }
            var product = Product(
              a: Operand(base: negative, stride: rest, isDepthContiguous: false),
              b: Operand(base: strip, stride: size, isDepthContiguous: false), m: rest, n: rest, k: count)
            product.accumulates = true
            product.isUpperTriangle = true
            product.run(into: strip + count * size, stride: size, parallel: parallel)
          }
        }
        inverses.append(inverse)
      }
      return true
    }
    return isDefinite ? inverses : nil
  }

  /// Replaces the upper triangle of a corner by its factor `C`.
  /// - Returns: `(Cᵀ)⁻¹`, `[count, count]`, lower triangular.
  private static func factorDiagonal(_ corner: UnsafeMutablePointer<Float>, stride: Int, count: Int) -> [Float]? {
    // L = Cᵀ, row-major.
    var lower = [Double](repeating: 0, count: count * count)
    for i in 0..<count {
      for j in 0...i {
        var sum = Double(corner[j * stride + i])
        for p in 0..<j { sum -= lower[i * count + p] * lower[j * count + p] }
        if i == j {
          guard sum > 0, sum.isFinite else { return nil }
          lower[i * count + i] = sum.squareRoot()
        } else {
          lower[i * count + j] = sum / lower[j * count + j]
        }
      }
    }
    for i in 0..<count {
      for j in 0...i { corner[j * stride + i] = Float(lower[i * count + j]) }
    }
    var inverse = [Double](repeating: 0, count: count * count)
    for i in 0..<count {
      let pivot = 1 / lower[i * count + i]
      inverse[i * count + i] = pivot
      for p in 0..<i {
        let factor = -lower[i * count + p] * pivot
        for j in 0...p { inverse[i * count + j] += factor * inverse[p * count + j] }
      }
    }
    let single = inverse.map { Float($0) }
    return single.allSatisfy(\.isFinite) ? single : nil
  }

  /// Replaces upper triangular `C` by its inverse, one block row after another from the bottom; zeros below the diagonal.
  private static func invert(_ matrix: inout [Float], size: Int, diagonal: [[Float]], parallel: Parallel) {
    matrix.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for (index, inverse) in diagonal.enumerated().reversed() {
        let first = index * factorBlock
        let count = min(factorBlock, size - first)
        let rest = size - first - count
        let corner = base + first * size + first
        // The inverse of C's block is the transpose of the inverse of Cᵀ's.
        var upper = inverse
        for i in 0..<count {
          for j in 0..<count { upper[i * count + j] = inverse[j * count + i] }
        }
        if rest > 0 {
          let strip = corner + count
          var source = [Float](repeating: 0, count: count * rest)
          for i in 0..<count {
            for j in 0..<rest { source[i * rest + j] = -strip[i * size + j] }
          }
          source.withUnsafeBufferPointer { source in
            guard let source = source.baseAddress else { return }
            Product(
              a: Operand(base: source, stride: rest, isDepthContiguous: true),
              b: Operand(base: strip + count * size, stride: size, isDepthContiguous: false), m: count, n: rest, k: rest
            ).run(into: strip, stride: size, parallel: parallel)
          }
          multiplyInPlace(upper, strip, count: count, columns: rest, stride: size, parallel: parallel)
        }
        for i in 0..<count {
          (corner + i * size - first).update(repeating: 0, count: first)
          for j in 0..<count { corner[i * size + j] = upper[i * count + j] }
        }
      }
    }
  }

  /// `strip = block * strip` for a block `[count, count]` and a strip `[count, columns]`.
  private static func multiplyInPlace(
    _ block: [Float], _ strip: UnsafeMutablePointer<Float>, count: Int, columns: Int, stride: Int, parallel: Parallel
  ) {
    var copy = [Float](repeating: 0, count: count * columns)
    for i in 0..<count {
      for j in 0..<columns { copy[i * columns + j] = strip[i * stride + j] }
    }
    block.withUnsafeBufferPointer { block in
      copy.withUnsafeBufferPointer { copy in
        guard let block = block.baseAddress, let copy = copy.baseAddress else { return }
        Product(
          a: Operand(base: block, stride: count, isDepthContiguous: true),
          b: Operand(base: copy, stride: columns, isDepthContiguous: false), m: count, n: columns, k: count
        ).run(into: strip, stride: stride, parallel: parallel)
      }
    }
  }

  /// Reflects a square matrix in its antidiagonal: element (i, j) goes to (n − 1 − j, n − 1 − i).
  private static func antiTranspose(_ matrix: inout [Float], size: Int) {
    for i in 0..<size {
      for j in 0..<(size - 1 - i) {
        matrix.swapAt(i * size + j, (size - 1 - j) * size + size - 1 - i)
      }
    }
  }

  /// `result += aᵀ * b`.
  /// - Parameters:
  ///   - a: `[k, m]` in rows of `aStride` floats.
  ///   - b: `[k, n]`, row-major.
  ///   - result: `[m, n]`, row-major; must not overlap the operands.
  public static func addTransposedProduct(
    _ a: UnsafePointer<Float>, aStride: Int, _ b: UnsafePointer<Float>, m: Int, n: Int, k: Int,
    to result: UnsafeMutablePointer<Float>, parallel: Parallel
  ) {
    var product = Product(
      a: Operand(base: a, stride: aStride, isDepthContiguous: false), b: Operand(base: b, stride: n, isDepthContiguous: false),
      m: m, n: n, k: k)
    product.accumulates = true
    product.run(into: result, stride: n, parallel: parallel)
  }
}
