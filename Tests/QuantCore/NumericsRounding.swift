import CKernels
import TestSupport
import Testing

@testable import QuantCore

@Suite struct NumericsRoundingTests {
  private func random(_ count: Int, seed: UInt64) -> [Float] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }
  }

  @Test func formsEqualTheDoubleSumOfTheWholeMatrix() {
    for (rows, columns) in [(1, 1), (3, 32), (5, 128), (13, 300)] {
      let x = Matrix(rows: rows, columns: columns, values: random(rows * columns, seed: 1))
      let samples = Matrix(rows: 40, columns: columns, values: random(40 * columns, seed: 2))
      var gram = [Float](repeating: 0, count: columns * columns)
      samples.withPanel { LinearAlgebra.addGram(of: $0, to: &gram, parallel: Parallel(threads: 1)) }
      LinearAlgebra.mirror(&gram, size: columns, parallel: Parallel(threads: 1))
      var forms = [Float](repeating: .nan, count: rows)
      x.withPanel { LinearAlgebra.quadraticForms(of: $0, gram: gram, stride: columns, into: &forms) }
      for row in 0..<rows {
        var expected = 0.0
        for i in 0..<columns {
          for j in 0..<columns { expected += Double(x[row, i]) * Double(gram[i * columns + j]) * Double(x[row, j]) }
        }
        #expect(abs(Double(forms[row]) - expected) <= 1e-4 * expected, "\(rows)x\(columns), row \(row)")
      }
    }
  }

  @Test func aSingleValueThatIsNotFiniteIsFoundAnywhere() {
    for bad in [Float.nan, .infinity, -.infinity] {
      for index in [0, 15, 16, 40, 66] {
        var x = random(67, seed: 3)
        #expect(VectorKernels.areFinite(x, count: x.count))
        x[index] = bad
        #expect(!VectorKernels.areFinite(x, count: x.count))
      }
    }
  }

  @Test(arguments: [ElementType.f32, .f16, .bf16]) func theFusedRoundTripEqualsTheValuesOfTheCodes(_ type: ElementType) throws {
    var values = random(6 * 192, seed: 4)
    for i in 0..<64 { values[i] = 0 }
    for i in 64..<128 { values[i] = i.isMultiple(of: 2) ? -0.0 : 1e-7 }
    for i in 192..<384 { values[i] *= 3e4 }
    let matrix = Matrix(rows: 6, columns: 192, values: values)
    for bits in [4, 8] {
      for (group, isSymmetric) in [(64, true), (64, false), (nil, true), (nil, false)] as [(Int?, Bool)] {
        let scheme = try #require(IntegerScheme(bits: bits, groupLength: group, isSymmetric: isSymmetric, modelType: type))
        var quantized = scheme.emptyPanel(rows: 6, columns: 192)
        var expected = [Float](repeating: .nan, count: values.count)
        matrix.withPanel { scheme.encode($0, importance: nil, into: &quantized) }
        scheme.value(quantized, columns: 0..<192, into: &expected)
        let fused = matrix.withPanel { scheme.roundTrip($0) }
        #expect(fused.map(\.bitPattern) == expected.map(\.bitPattern), "\(scheme.name) in \(type)")
      }
    }
  }
}
