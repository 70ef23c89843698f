import CKernels
import QuantCore
import TestSupport
import Testing

@testable import QuantNumbers

/// The kernels of short floats, compared with the conversions of single values.
@Suite struct NumericsShortFloatTests {
  private let elements: [(type: ShortFloat, kernel: Int32)] = [
    (.e4m3, Int32(QC_E4M3)), (.e5m2, Int32(QC_E5M2)), (.e2m1, Int32(QC_E2M1)), (.e3m0, Int32(QC_E3M0)),
  ]

  @Test func everyCodeMeansWhatTheConversionSays() {
    for (type, kernel) in elements {
      let count = 1 << type.bitCount
      for scale in [Float(1), 0x1p-20, 3.7e-3] {
        let codes = (0..<count).map { Int32($0) }
        var scales = [scale], values = [Float](repeating: 0, count: count)
        qc_short_values(codes, count, count, &scales, kernel, &values)
        let expected = (0..<count).map { type.value(UInt8($0)) * scale }
        let same = zip(values, expected).allSatisfy { $0.isNaN ? $1.isNaN : $0.bitPattern == $1.bitPattern }
        #expect(same, "\(type)")
        if type == .e3m0 { continue }
        if type == .e2m1 {
          var pairs = [UInt8](repeating: 0, count: 8)
          qc_pack_codes(codes, count, 4, 0, &pairs)
          #expect(pairs == [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe])
          var decoded = [Float](repeating: 0, count: count)
          qc_nibble_values(pairs, count, count, &scales, &decoded)
          #expect(decoded == values)
        } else {
          var bytes = [UInt8](repeating: 0, count: count)
          qc_pack_codes(codes, count, 8, 0, &bytes)
          #expect(bytes == (0..<count).map { UInt8($0) })
          var decoded = [Float](repeating: 0, count: count)
          qc_byte_values(bytes, count, count, &scales, kernel, &decoded)
          let isSame = decoded.map { $0.bitPattern } == values.map { $0.bitPattern }
          #expect(isSame)
        }
      }
    }
  }

  @Test func codesOfGroupsAreThoseOfSingleQuotients() {
    // Every exponent of a float, both signs, infinity and NaN; groups of several sizes, the last one cut short.
    var values: [Float] = (0..<65536).map { Float(bitPattern: UInt32($0) << 16 | 0x8000) }
    values += [.nan, .infinity, -.infinity, 0, -0.0, 0x1p-149]
    let types: [(ElementType, Int32)] = [(.f32, Int32(QC_FLOAT)), (.bf16, Int32(QC_BFLOAT)), (.f16, Int32(QC_HALF))]
    for (element, kernel) in elements {
      for (type, model) in types {
        for quotient in type == .f32 ? [ElementType.f32] : [.f32, type] {
          let length = 1000
          let scales = (0..<values.count / length + 1).map { Float(1 + $0 % 7) / 16 }
          var codes = [Int32](repeating: -1, count: values.count)
          qc_short_codes(
            values, values.count, length, scales, model, quotient == .f32 ? Int32(QC_FLOAT) : model, kernel, &codes)
          for (index, number) in values.enumerated() {
            let rounded = NumberConversion.rounded(NumberConversion.rounded(number, to: type) / scales[index / length], to: quotient)
            let expected = rounded.isNaN ? 0 : element.code(rounded + 0)
            guard codes[index] != Int32(expected) else { continue }
            Issue.record("\(number) / \(scales[index / length]) as \(element) of a \(type) model: \(codes[index]), not \(expected)")
            return
          }
        }
      }
    }
  }

  @Test func largestMagnitudesLeaveOutNaN() {
    let values: [Float] = [1, -3, 2, .nan, 0.5, -0.25, 0, -0.0, 7]
    var largest = [Float](repeating: -1, count: 3)
    qc_magnitudes(values, 9, 4, &largest)
    #expect(largest == [3, 0.5, 7])
    #expect(VectorKernels.largestMagnitude(values) == 7 && VectorKernels.largestMagnitude([]) == 0)
    #expect(VectorKernels.largestMagnitude([1, -.infinity]) == .infinity)
  }
}
