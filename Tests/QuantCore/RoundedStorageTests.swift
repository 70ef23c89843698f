import QuantCore
import Testing

@testable import QuantBase
@testable import QuantConversion
@testable import QuantNumbers

@Test(arguments: ["int4-g32", "int8-channel", "bf16"]) func aRoundedTensorDecodesToTheValuesOfItsScheme(_ name: String) throws {
  let values: [Float] = (0..<320).map { (index: Int) -> Float in Float((index * 97 + 11) % 251) / 100 - 1.234567 }
  let original = PlainStorage(.f32, ByteView(values.withUnsafeBytes { [UInt8]($0) }))
  let scheme = try #require(IntegerSchemes.scheme(named: name, modelType: .f32) ?? FloatSchemes.scheme(named: name, modelType: .f32))
  let rounded = RoundedStorage(original: original, scheme: scheme)
  let expected = Matrix(rows: 5, columns: 64, values: values).withPanel { scheme.roundTrip($0) }
  #expect(expected != values)
  var found = [Float](repeating: 0, count: 5 * 64)
  found.withUnsafeMutableBufferPointer { buffer in
    guard let base = buffer.baseAddress else { return }
    // Rows may be requested in any order.
    for rows in [3..<5, 0..<1, 1..<3] { rounded.decode(rows: rows, rowLength: 64, into: base + rows.lowerBound * 64) }
  }
  #expect(found == expected)
  // The original bytes must not be copied instead of the rounded values.
  #expect(rounded.verbatim == nil && rounded.schemeName == "f32" && rounded.byteCount == original.byteCount && rounded.isNumeric)
}
