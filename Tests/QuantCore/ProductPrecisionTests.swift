import QuantCore
import Testing

@Suite struct ProductPrecisionTests {
  private func matrix(rows: Int, columns: Int, seed: UInt64) -> Matrix {
    var state = seed
    return Matrix(
      rows: rows, columns: columns,
      values: (0..<rows * columns).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
      })
  }

  private func rounded(_ matrix: Matrix) -> Matrix {
    Matrix(
      rows: matrix.rows, columns: matrix.columns,
      values: matrix.values.map { NumberConversion.float(bfloat: NumberConversion.bfloat($0)) })
  }

  @Test(arguments: [(1, 1, 1), (13, 33, 7), (24, 64, 256), (29, 70, 771)])
  func bfloatProductsAreThoseOfRoundedFactors(_ m: Int, _ n: Int, _ k: Int) {
    let a = matrix(rows: m, columns: k, seed: 1), b = matrix(rows: n, columns: k, seed: 2)
    let product = Matrix.multiplyTransposed(a, b, precision: .bf16, parallel: Parallel(threads: 1))
    let (left, right) = ProductPrecision.hasBFloat ? (rounded(a), rounded(b)) : (a, b)
    for i in 0..<m {
      for j in 0..<n {
        let terms = (0..<k).map { Double(left[i, $0]) * Double(right[j, $0]) }
        let size = terms.reduce(0) { $0 + abs($1) }
        #expect(abs(Double(product[i, j]) - terms.reduce(0, +)) <= size * 1e-5 + 1e-6)
      }
    }
    for threads in 2...3 {
      #expect(Matrix.multiplyTransposed(a, b, precision: .bf16, parallel: Parallel(threads: threads)) == product)
    }
  }

  @Test func bfloatGramMatricesAreThoseOfRoundedValues() {
    let x = matrix(rows: 301, columns: 45, seed: 3)
    var gram = [Float](repeating: 0, count: 45 * 45), expected = gram
    x.withPanel { LinearAlgebra.addGram(of: $0, to: &gram, precision: .bf16, parallel: Parallel(threads: 2)) }
    (ProductPrecision.hasBFloat ? rounded(x) : x).withPanel {
      LinearAlgebra.addGram(of: $0, to: &expected, parallel: Parallel(threads: 1))
    }
    for i in 0..<45 {
      for j in i..<45 { #expect(abs(gram[i * 45 + j] - expected[i * 45 + j]) < 0.01) }
    }
  }
}
