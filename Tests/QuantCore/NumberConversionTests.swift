import QuantCore
import Testing

@Suite struct NumberConversionTests {
  @Test func widensEveryHalfLikeTheHardwareType() {
    for bits in UInt16.min...UInt16.max {
      let expected = Float(Float16(bitPattern: bits))
      let value = NumberConversion.float(half: bits)
      if expected.isNaN {
        #expect(value.isNaN)
      } else {
        #expect(value.bitPattern == expected.bitPattern)
      }
    }
  }

  @Test func roundsToTheNearestHalfLikeTheHardwareType() {
    // Every half, the midpoint between it and its neighbour, and the floats on both sides of each.
    for bits: UInt16 in 0..<0x7c00 {
      let low = Float(Float16(bitPattern: bits)), high = Float(Float16(bitPattern: bits + 1))
      let middle = high.isFinite ? low + (high - low) / 2 : 65520
      for value in [low, low.nextUp, middle.nextDown, middle, middle.nextUp] {
        #expect(NumberConversion.half(value) == Float16(value).bitPattern)
        #expect(NumberConversion.half(-value) == Float16(-value).bitPattern)
      }
    }
    for value: Float in [.infinity, -.infinity, 1e30, -65520, 65519.996, .leastNonzeroMagnitude, 0x1p-25, 0x1.000002p-25] {
      #expect(NumberConversion.half(value) == Float16(value).bitPattern)
    }
    #expect(NumberConversion.float(half: NumberConversion.half(.nan)).isNaN)
    #expect(NumberConversion.float(half: NumberConversion.half(Float(bitPattern: 0x7f80_0001))).isNaN)
  }

  @Test func roundsToTheNearestBFloatWithTiesToEven() {
    for bits: UInt16 in 0..<0x7f80 {
      let low = Float(bitPattern: UInt32(bits) << 16)
      let middle = Float(bitPattern: UInt32(bits) << 16 | 0x8000)
      #expect(NumberConversion.bfloat(low) == bits)
      #expect(NumberConversion.bfloat(middle.nextDown) == bits)
      #expect(NumberConversion.bfloat(middle) == bits + (bits & 1))
      #expect(NumberConversion.bfloat(-middle.nextUp) == (bits + 1) | 0x8000)
    }
    #expect(NumberConversion.float(bfloat: NumberConversion.bfloat(Float(bitPattern: 0x7f80_0001))).isNaN)
    #expect(NumberConversion.bfloat(.infinity) == 0x7f80)
  }

  @Test func decodesFP8ByTheDefinitionOfItsFields() {
    func power(_ exponent: Int) -> Float { Float(sign: .plus, exponent: exponent, significand: 1) }
    for bits in UInt8.min...UInt8.max {
      let sign: Float = bits & 0x80 == 0 ? 1 : -1
      let exponent = Int(bits >> 3 & 15), mantissa = Float(bits & 7)
      let value = NumberConversion.float(e4m3: bits)
      if bits & 0x7f == 0x7f {
        #expect(value.isNaN)
      } else {
        #expect(value == sign * (exponent == 0 ? mantissa / 8 * power(-6) : (1 + mantissa / 8) * power(exponent - 7)))
      }
      let wide = Int(bits >> 2 & 31), short = Float(bits & 3)
      let other = NumberConversion.float(e5m2: bits)
      if wide == 31 {
        #expect(short == 0 ? other == sign * .infinity : other.isNaN)
      } else {
        #expect(other == sign * (wide == 0 ? short / 4 * power(-14) : (1 + short / 4) * power(wide - 15)))
      }
      #expect(bits == 255 ? NumberConversion.float(e8m0: bits).isNaN : NumberConversion.float(e8m0: bits) == power(Int(bits) - 127))
    }
    #expect(NumberConversion.float(e4m3: 0x7e) == 448)
  }

  @Test func plainStorageDecodesRowsFromAnyAddress() {
    let values: [Float] = [1, -2, 0.5, 65504, -0.25, 3]
    var halves: [UInt8] = [0xee]
    var doubles: [UInt8] = [0xee, 0xee, 0xee]
    for value in values {
      withUnsafeBytes(of: NumberConversion.half(value)) { halves.append(contentsOf: $0) }
      withUnsafeBytes(of: Double(value)) { doubles.append(contentsOf: $0) }
    }
    for (type, bytes, skip) in [(ElementType.f16, halves, 1), (.f64, doubles, 3)] {
      guard let view = ByteView(bytes).slice(skip..<bytes.count) else { return }
      let tensor = CheckpointTensor(name: "t", shape: [3, 2], storage: PlainStorage(type, view))
      #expect(tensor.matrix().values == values)
      var row = [Float](repeating: 0, count: 2)
      tensor.decode(rows: 1..<2, into: &row)
      #expect(row == [0.5, 65504])
    }
    #expect(!PlainStorage(.i64, ByteView([])).isNumeric)
  }

  @Test func narrowingAndWideningWholeArraysEqualsOneByOne() {
    // Every exponent of a float with its rounding cases, both signs, infinity and NaN.
    var values: [Float] = (0..<65536).flatMap { high in
      [0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001].map { Float(bitPattern: UInt32(high) << 16 | $0) }
    }
    values += (0..<1003).map { Float($0 - 500) * 1.0009765e-3 }
    var halves = [UInt16](repeating: 0, count: values.count), bfloats = halves
    halves.withUnsafeMutableBytes { if let base = $0.baseAddress { NumberConversion.narrowHalf(values, values.count, into: base) } }
    bfloats.withUnsafeMutableBytes { if let base = $0.baseAddress { NumberConversion.narrowBFloat(values, values.count, into: base) } }
    let expectedHalves = values.map { NumberConversion.half($0) }, expectedBFloats = values.map { NumberConversion.bfloat($0) }
    #expect(halves == expectedHalves)
    #expect(bfloats == expectedBFloats)
    let all = (0...UInt16.max).map { $0 }
    var wide = [Float](repeating: 0, count: all.count)
    NumberConversion.widenHalf(all, all.count, into: &wide)
    let halfPatterns = all.map { NumberConversion.float(half: $0).bitPattern }
    #expect(wide.map { $0.bitPattern } == halfPatterns)
    NumberConversion.widenBFloat(all, all.count, into: &wide)
    #expect(wide.map { $0.bitPattern } == all.map { UInt32($0) << 16 })
  }
}
