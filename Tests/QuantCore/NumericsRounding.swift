import CKernels
import QuantCore
import TestSupport
import Testing

@testable import QuantNumbers

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

  @Test func theLargestPatternIsThatOfTheLargestMagnitude() {
    var x = random(67, seed: 5)
    x[41] = -1.5
    #expect(qc_largest_bits(x, x.count) == Float(1.5).bitPattern && qc_largest_bits(x, 0) == 0)
    x[66] = -.infinity
    #expect(qc_largest_bits(x, x.count) == Float.infinity.bitPattern)
    x[3] = -.nan
    #expect(qc_largest_bits(x, x.count) == Float.nan.bitPattern)
  }

  @Test func squaredErrorsAreTheSumsOfEightLanes() {
    for count in [0, 1, 7, 8, 67] {
      let x = random(count, seed: 6), y = random(count, seed: 7)
      var error = 1.0, original = 2.0
      qc_squared_errors(y, x, count, &error, &original)
      var errors = [Double](repeating: 0, count: 8), squares = errors
      for i in 0..<count {
        errors[i % 8] += (Double(y[i]) - Double(x[i])) * (Double(y[i]) - Double(x[i]))
        squares[i % 8] += Double(x[i]) * Double(x[i])
      }
      #expect(error == errors.reduce(1, +) && original == squares.reduce(2, +))
    }
  }

  @Test func packedCodesAreThoseOfASlowLayout() {
    for bits in 2...8 {
      let layout = WordLayout(bits: bits)
      for (lines, length) in [(1, 1), (3, 31), (2, 32), (1, 255), (2, 300), (1, 1000)] {
        let codes = (0..<lines * length).map { (index: Int) -> Int32 in Int32(index * 2_654_435_761 % 1013) - 500 }
        var words = [UInt32](repeating: 0, count: lines * layout.words(for: length))
        for line in 0..<lines {
          for index in 0..<length {
            layout.set(
              UInt32(bitPattern: codes[line * length + index] + 3), at: index, in: &words, first: line * layout.words(for: length))
          }
        }
        #expect(layout.words(of: codes, lines: lines, adding: 3) == words, "\(bits) bits, \(length) codes")
        let whole = WordLayout(bits: bits, isDense: false)
        var gaps = [UInt32](repeating: 0, count: whole.words(for: length))
        for index in 0..<length { whole.set(UInt32(bitPattern: codes[index]), at: index, in: &gaps, first: 0) }
        #expect(whole.words(of: Array(codes.prefix(length)), lines: 1, adding: 0) == gaps)
      }
    }
  }

  @Test func codesPackedDownTheRowsAreThoseOfASlowLayout() {
    let others = [WordLayout(bits: 3, isDense: false), WordLayout(bits: 4, slots: [0, 4, 1, 5, 2, 6, 3, 7])]
    let layouts = (2...8).map { WordLayout(bits: $0) } + others
    for layout in layouts {
      for (rows, columns) in [(1, 1), (32, 5), (40, 300), (64, 513)] {
        let codes = (0..<rows * columns).map { (index: Int) -> Int32 in Int32(index * 2_654_435_761 % 1013) - 500 }
        let width = layout.words(for: rows)
        var expected = [UInt32](repeating: 0, count: columns * width)
        for row in 0..<rows {
          for column in 0..<columns {
            layout.set(UInt32(bitPattern: codes[row * columns + column] + 8), at: row, in: &expected, first: column * width)
          }
        }
        #expect(layout.words(down: codes, columns: columns, adding: 8) == expected, "\(layout) of \(rows) rows")
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
