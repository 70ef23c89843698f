import CKernels
import QuantCore
import QuantPlatform
import Testing

@testable import QuantNumbers

@Suite struct NumericsProductTests {
  static let levels = (0...qc_cpu_level()).map { $0 }

  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var state = seed
    return Matrix(
      rows: rows, columns: columns,
      values: (0..<rows * columns).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
      })
  }

  private func multiply(_ a: Matrix, _ b: Matrix, level: Int32, threads: Int = 2) -> Matrix {
    var result = Matrix(rows: a.rows, columns: b.rows, values: [Float](repeating: .nan, count: a.rows * b.rows))
    result.values.withUnsafeMutableBufferPointer { target in
      a.withPanel { left in
        b.withPanel { right in
          guard let target = target.baseAddress else { return }
          var product = LinearAlgebra.Product(
            a: LinearAlgebra.Operand(base: left.base, stride: a.columns, isDepthContiguous: true),
            b: LinearAlgebra.Operand(base: right.base, stride: b.columns, isDepthContiguous: true), m: a.rows, n: b.rows, k: a.columns)
          product.level = level
          product.run(into: target, stride: b.rows, parallel: Parallel(threads: threads))
        }
      }
    }
    return result
  }

  @Test(arguments: levels) func productsEqualTheTwinBitForBit(_ level: Int32) {
    for (m, n, k) in [(1, 1, 1), (1, 33, 300), (7, 5, 3), (13, 40, 256), (25, 130, 257), (12, 32, 513)] {
      let a = random(m, k, seed: 1)
      let b = random(n, k, seed: 2)
      let expected = ReferenceKernels.multiplyTransposed(a, b, isFused: level != Int32(QC_BASELINE))
      #expect(multiply(a, b, level: level) == expected, "\(m)x\(n)x\(k)")
    }
  }

  @Test(arguments: levels) func threadsAndOtherRowsChangeNoBit(_ level: Int32) {
    let a = random(1000, 70, seed: 3)
    let b = random(300, 70, seed: 4)
    let whole = multiply(a, b, level: level, threads: 1)
    #expect(multiply(a, b, level: level, threads: 2) == whole)
    #expect(multiply(a, b, level: level, threads: 3) == whole)
    let row = Matrix(rows: 1, columns: 70, values: Array(a.values[(900 * 70)..<(901 * 70)]))
    #expect(multiply(row, b, level: level).values == Array(whole.values[(900 * 300)..<(901 * 300)]))
  }

  @Test func emptyDepthGivesZeros() {
    #expect(
      Matrix.multiplyTransposed(Matrix(rows: 3, columns: 0), Matrix(rows: 2, columns: 0), parallel: Parallel(threads: 1)).values
        == [Float](repeating: 0, count: 6))
  }

  @Test func gramAddsTheTransposedProduct() {
    let x = random(600, 37, seed: 5)
    let transposed = ReferenceKernels.transpose(x)
    let product = ReferenceKernels.multiplyTransposed(transposed, transposed, isFused: LinearAlgebra.level != Int32(QC_BASELINE))
    for threads in 1...3 {
      var gram = [Float](repeating: 0, count: 37 * 37)
      x.withPanel { LinearAlgebra.addGram(of: $0, to: &gram, parallel: Parallel(threads: threads)) }
      for i in 0..<37 { #expect(gram[(i * 37 + i)..<(i * 37 + 37)] == product.values[(i * 37 + i)..<(i * 37 + 37)]) }
      LinearAlgebra.mirror(&gram, size: 37, parallel: Parallel(threads: threads))
      #expect(gram == product.values)
    }
  }

  @Test(arguments: [ProductPrecision.f32, .bf16]) func gramOfManyChannelsIsWholeAboveTheDiagonal(_ precision: ProductPrecision) {
    let size = 1700
    let x = random(10, size, seed: 9)
    let transposed = ReferenceKernels.transpose(x)
    let product = Matrix.multiplyTransposed(transposed, transposed, precision: precision, parallel: Parallel(threads: 2))
    var gram = [Float](repeating: 0, count: size * size)
    x.withPanel { LinearAlgebra.addGram(of: $0, to: &gram, precision: precision, parallel: Parallel(threads: 2)) }
    LinearAlgebra.mirror(&gram, size: size, parallel: Parallel(threads: 2))
    #expect(gram == product.values)
  }

  @Test func gramOfSomeColumnsOfAWiderMatrixUsesTheStride() {
    let x = random(40, 50, seed: 6)
    var part = [Float](repeating: 0, count: 100)
    x.withPanel(columns: 20..<30) { LinearAlgebra.addGram(of: $0, to: &part, parallel: Parallel(threads: 2)) }
    var whole = [Float](repeating: 0, count: 2500)
    x.withPanel { LinearAlgebra.addGram(of: $0, to: &whole, parallel: Parallel(threads: 2)) }
    for i in 0..<10 {
      for j in i..<10 { #expect(part[i * 10 + j] == whole[(i + 20) * 50 + j + 20]) }
    }
  }

  private func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  @Test func theSpeedIsPrinted() {
    let a = random(1024, 1024, seed: 7)
    let b = random(1024, 1024, seed: 8)
    for level in NumericsProductTests.levels {
      // Processor time of this thread, so that a busy machine does not matter.
      let best =
        (0..<5).map { _ in
          let start = threadSeconds()
          _ = multiply(a, b, level: level, threads: 1)
          return threadSeconds() - start
        }.min() ?? 1
      print("product of 1024³, level \(level): \(Int(2 * 1.073741824 / best)) GFLOP/s per core")
      #expect(best > 0)
    }
  }
}
