import QuantCore
import TestSupport
import Testing

private func bits(_ values: [Float], _ scheme: FloatScheme) -> [Int32] {
  var panel = scheme.emptyPanel(rows: 1, columns: values.count)
  Matrix(rows: 1, columns: values.count, values: values).withPanel { scheme.encode($0, importance: nil, into: &panel) }
  return panel.codes
}

private func numbers(_ codes: [Int32], _ scheme: FloatScheme) -> [Float] {
  var panel = scheme.emptyPanel(rows: 1, columns: codes.count)
  panel.codes = codes
  var values = [Float](repeating: 0, count: codes.count)
  values.withUnsafeMutableBufferPointer { buffer in
    if let base = buffer.baseAddress { scheme.value(panel, columns: 0..<codes.count, into: base) }
  }
  return values
}

/// Floats around every half and bfloat16 value: the value, the point halfway to the next, and the neighbours of both.
private let samples: [Float] = {
  var result: [Float] = []
  for high in stride(from: 0, to: 65536, by: 3) {
    for low in [0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff] {
      result.append(Float(bitPattern: UInt32(high) << 16 | UInt32(low)))
    }
  }
  return result
}()

@Test func halfPrecisionRoundsAsTheProcessorDoes() {
  for (value, code) in zip(samples, bits(samples, .f16)) {
    let expected = Float16(value)
    if value.isNaN { #expect(Float16(bitPattern: UInt16(code)).isNaN) } else { #expect(UInt16(code) == expected.bitPattern) }
  }
}

@Test func everyHalfPrecisionValueIsReadExactly() {
  let codes = (0..<Int32(65536)).map { $0 }
  for (code, value) in zip(codes, numbers(codes, .f16)) {
    let expected = Float(Float16(bitPattern: UInt16(code)))
    #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN))
  }
}

@Test func bfloat16TakesTheNearestAndTiesToEven() {
  for (value, code) in zip(samples, bits(samples, .bf16)) {
    let rounded = Float(bitPattern: UInt32(code) << 16)
    if value.isNaN {
      #expect(rounded.isNaN)
      continue
    }
    // In double precision the neighbours above and below are exact, and so are the distances to them.
    let below = Float(bitPattern: value.bitPattern & 0xffff_0000)
    let above = Float(bitPattern: (value.bitPattern & 0xffff_0000) &+ 0x1_0000)
    guard above.isFinite, below.isFinite else { continue }
    let (down, up) = (abs(Double(value) - Double(below)), abs(Double(above) - Double(value)))
    let isBelowEven = below.bitPattern >> 16 & 1 == 0
    let expected = down < up || (down == up && isBelowEven) ? below : above
    #expect(rounded.bitPattern == expected.bitPattern)
  }
}

@Test func fusedPlainPackingGivesTheBytesOfEncodeAndPack() throws {
  let matrix = Matrix(rows: 5, columns: 40, values: (0..<200).map { Float($0) * 0.37 - 31 })
  for scheme in [FloatScheme.f32, .f16, .bf16] {
    let packing = PlainPacking()
    #expect(packing.holds(scheme.grid))
    var panel = scheme.emptyPanel(rows: 5, columns: 40)
    matrix.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    let packed = packing.pack(panel, rows: 0..<5, of: [5, 40], scheme: scheme)
    let part = try #require(packing.parts(name: "w", shape: [5, 40], scheme: scheme).first)
    #expect(part.byteCount == packed[0].count)
    #expect(part.type == .element(scheme.type))
    let fused = try #require(packing.fused(scheme: scheme))
    var bytes = [UInt8](repeating: 0, count: part.byteCount)
    bytes.withUnsafeMutableBytes { target in
      if let base = target.baseAddress { matrix.withPanel { fused($0.base, 5, 40, nil, base) } }
    }
    #expect(bytes == packed[0])
  }
  #expect(!PlainPacking().holds(Grid(kind: .symmetricInteger, groupLength: 32, codeBits: 4, parameterBits: 16)))
}
