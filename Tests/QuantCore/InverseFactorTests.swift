import QuantCore
import Testing

@Suite struct InverseFactorTests {
  /// A Gram matrix with large and small channels, and damping on its diagonal.
  private func gram(_ size: Int, seed: UInt64 = 5) -> [Float] {
    var state = seed
    func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }
    let tokens = 2 * size
    let x = (0..<tokens).map { _ in (0..<size).map { next() * ($0 % 7 == 3 ? 4 : 1) } }
    let values = x.flatMap { $0 }
    var gram = [Float](repeating: 0, count: size * size)
    Matrix(rows: tokens, columns: size, values: values).withPanel {
      LinearAlgebra.addGram(of: $0, to: &gram, parallel: Parallel(threads: 2))
    }
    LinearAlgebra.mirror(&gram, size: size, parallel: Parallel(threads: 2))
    for i in 0..<size { gram[i * size + i] += 0.01 * Float(tokens) }
    return gram
  }

  /// The slow way, in double precision: invert by elimination, then factor the inverse column by column.
  private func twin(_ matrix: [Float], size: Int) -> [Double] {
    var a = matrix.map { Double($0) }
    var inverse = [Double](repeating: 0, count: size * size)
    for i in 0..<size { inverse[i * size + i] = 1 }
    for p in 0..<size {
      let pivot = a[p * size + p]
      for j in 0..<size {
        a[p * size + j] /= pivot
        inverse[p * size + j] /= pivot
      }
      for i in 0..<size where i != p {
        let factor = a[i * size + p]
        for j in 0..<size {
          a[i * size + j] -= factor * a[p * size + j]
          inverse[i * size + j] -= factor * inverse[p * size + j]
        }
      }
    }
    var upper = [Double](repeating: 0, count: size * size)
    for i in 0..<size {
      for j in i..<size {
        var sum = inverse[i * size + j]
        for p in 0..<i { sum -= upper[p * size + i] * upper[p * size + j] }
        upper[i * size + j] = i == j ? sum.squareRoot() : sum / upper[i * size + i]
      }
    }
    return upper
  }

  @Test(arguments: [1, 2, 31, 127, 128, 129, 300]) func theFactorIsThatOfTheInverse(_ size: Int) {
    let matrix = gram(size)
    var factor = matrix
    #expect(LinearAlgebra.replaceByInverseFactor(&factor, size: size, parallel: Parallel(threads: 2)))
    let expected = twin(matrix, size: size)
    let largest = expected.map { abs($0) }.max() ?? 1
    let difference = zip(factor, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
    #expect(difference < largest * 2e-5, "\(difference) at \(largest)")
    for i in 0..<size { #expect(factor[i * size..<i * size + i].allSatisfy { $0 == 0 }) }
  }

  @Test func theFactorDoesNotDependOnTheNumberOfThreads() {
    let matrix = gram(300)
    let factors = (1...3).map { threads in
      var factor = matrix
      _ = LinearAlgebra.replaceByInverseFactor(&factor, size: 300, parallel: Parallel(threads: threads))
      return factor
    }
    #expect(factors[0] == factors[1] && factors[1] == factors[2])
  }

  @Test func matricesWithoutAFactorAreReported() {
    let parallel = Parallel(threads: 1)
    var indefinite: [Float] = [1, 2, 2, 1], zero: [Float] = [0], nan = gram(200), infinite: [Float] = [.infinity]
    #expect(!LinearAlgebra.replaceByInverseFactor(&indefinite, size: 2, parallel: parallel))
    #expect(!LinearAlgebra.replaceByInverseFactor(&zero, size: 1, parallel: parallel))
    nan[150 * 200 + 20] = .nan
    nan[20 * 200 + 150] = .nan
    #expect(!LinearAlgebra.replaceByInverseFactor(&nan, size: 200, parallel: parallel))
    #expect(!LinearAlgebra.replaceByInverseFactor(&infinite, size: 1, parallel: parallel))
    var empty: [Float] = []
    #expect(LinearAlgebra.replaceByInverseFactor(&empty, size: 0, parallel: parallel))
  }

  @Test func aTransposedProductIsAdded() {
    // a: [2, 3] of a wider matrix, b: [2, 2].
    let a: [Float] = [1, 2, 3, 99, 4, 5, 6, 99], b: [Float] = [1, 2, 3, 4]
    var result: [Float] = [10, 10, 10, 10, 10, 10]
    result.withUnsafeMutableBufferPointer { target in
      guard let base = target.baseAddress else { return }
      LinearAlgebra.addTransposedProduct(a, aStride: 4, b, m: 3, n: 2, k: 2, to: base, parallel: Parallel(threads: 1))
    }
    #expect(result == [23, 28, 27, 34, 31, 40])
  }
}
