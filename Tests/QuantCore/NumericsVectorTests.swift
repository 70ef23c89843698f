import QuantCore
import QuantPlatform
import Testing

@testable import QuantNumbers

@Suite struct NumericsVectorTests {
  private func wave(_ count: Int, _ step: Double) -> [Float] { (0..<count).map { Float(sin(Double($0) * step + 0.3) * 3) } }

  @Test(arguments: [0, 1, 15, 16, 17, 64, 333]) func dotEqualsTheTwin(_ count: Int) {
    let x = wave(count, 0.7)
    let y = wave(count, 1.9)
    #expect(VectorKernels.dot(x, y, count: count) == ReferenceKernels.dot(x, y))
  }

  @Test func axpyRoundsTwice() {
    let x = wave(100, 0.7)
    var y = wave(100, 1.9)
    let expected = zip(x, y).map { 0.37 * $0 + $1 }
    VectorKernels.axpy(0.37, x, &y, count: 100)
    #expect(y == expected)
  }

  /// (1 + 2^-12)² is 1 + 2^-11 after rounding; fused with the sum it would keep its last bit, 2^-24. FP_CONTRACT must be off
  /// in the kernels' sources: no build flag sets it.
  @Test(arguments: [16, 40]) func aProductAndASumAreRoundedSeparately(_ count: Int) {
    let factor: Float = 1 + 0x1p-12, square: Float = 1 + 0x1p-11
    let x = [Float](repeating: factor, count: count)
    var y = [Float](repeating: -square, count: count)
    VectorKernels.axpy(factor, x, &y, count: count)
    #expect(y == [Float](repeating: 0, count: count))

    // Every lane of the dot product gets the negated square first.
    let ones = [Float](repeating: 1, count: 16), squares = [Float](repeating: -square, count: 16)
    #expect(VectorKernels.dot(squares + x, ones + x, count: 16 + count) == Float(count - 16) * square)
  }

  @Test func exponentialIsWithinThreeUnitsOfTheLastPlace() {
    let x = (0...200_000).map { Float(-88 + Double($0) * (176.7 / 200_000)) }
    var result = x
    VectorKernels.exp(x, into: &result, count: x.count)
    for (x, y) in zip(x, result) {
      let exact = exp(Double(x))
      if x < -87.33 { #expect(y == 0) } else { #expect(abs(Double(y) / exact - 1) < 3e-7, "\(x)") }
    }
    let special: [Float] = [0, -0.0, .infinity, -.infinity, .nan, 89, -104, 88.72]
    var found = special
    VectorKernels.exp(special, into: &found, count: special.count)
    #expect(found[0] == 1 && found[1] == 1 && found[2] == .infinity && found[3] == 0 && found[4].isNaN)
    #expect(found[5] == .infinity && found[6] == 0 && found[7].isFinite)
  }

  @Test func softmaxSumsToOneAndIgnoresMaskedScores() {
    let scores = wave(100, 0.7)
    var row = scores
    VectorKernels.softmax(&row, count: 100)
    let exact = scores.map { exp(Double($0)) }
    let sum = exact.reduce(0, +)
    for (found, expected) in zip(row, exact) { #expect(abs(Double(found) - expected / sum) < 1e-7) }
    // A masked block of keys at the start changes no bit.
    var masked = [Float](repeating: -.infinity, count: 256) + scores
    VectorKernels.softmax(&masked, count: 356)
    #expect(Array(masked[256...]) == row)
    #expect(masked[..<256].allSatisfy { $0 == 0 })
  }

  @Test(arguments: [1, 16, 50, 256]) func normEqualsTheTwin(_ count: Int) {
    let x = wave(count, 0.7)
    let gain = wave(count, 0.2)
    var result = x
    VectorKernels.rootMeanSquareNorm(x, gain: gain, epsilon: 1e-5, count: count, into: &result)
    #expect(result == ReferenceKernels.rootMeanSquareNorm(x, gain: gain, epsilon: 1e-5))
  }

  @Test func siluIsTheGateTimesItsLogisticFunction() {
    let gate = wave(100, 0.7).map { $0 * 10 }
    let up = wave(100, 1.1)
    var result = gate
    VectorKernels.siluProduct(&result, up, count: 100)
    for i in 0..<100 {
      let exact = Double(gate[i]) / (1 + exp(-Double(gate[i]))) * Double(up[i])
      #expect(abs(Double(result[i]) - exact) <= 1e-6 * abs(exact) + 1e-12)
    }
  }

  @Test func rotationEqualsTheTwin() {
    var x = wave(24, 0.7)
    let cosine = (0..<12).map { Float(cos(Double($0))) }
    let sine = (0..<12).map { Float(sin(Double($0))) }
    let expected = ReferenceKernels.rotate(x, cosine: cosine, sine: sine)
    VectorKernels.rotate(&x, cosine: cosine, sine: sine, half: 12)
    #expect(x == expected)
  }

  @Test func distributionsAreExactToDoubles() {
    for count in [1, 7, 8, 9, 1000] {
      let p = wave(count, 0.7).map { $0 * 5 }
      let q = wave(count, 0.71).map { $0 * 5 }
      func logSum(_ x: [Float]) -> Double {
        let largest = Double(x.max() ?? 0)
        return largest + log(x.reduce(0) { $0 + exp(Double($1) - largest) })
      }
      let (pSum, qSum) = (logSum(p), logSum(q))
      #expect(abs(VectorKernels.logSumExp(p, count: count) - pSum) < 1e-13)
      let exact = zip(p, q).reduce(0) { $0 + exp(Double($1.0) - pSum) * (Double($1.0) - pSum - (Double($1.1) - qSum)) }
      #expect(abs(VectorKernels.divergence(p, pLogSum: pSum, q, qLogSum: qSum, count: count) - exact) < 1e-12)
    }
  }
}
