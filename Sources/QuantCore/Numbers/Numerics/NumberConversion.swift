import CKernels

/// Conversions between 32-bit floats and the other float types that checkpoints store.
///
/// Every widening is exact. Narrowing rounds to nearest, ties to even. Loops work on bit patterns without branches, so
/// that they vectorize on any CPU.
public enum NumberConversion {
  // MARK: One value

  /// Value of an IEEE half.
  @inlinable
  public static func float(half bits: UInt16) -> Float {
    // Moving exponent and mantissa into place leaves the exponent too small by 112, for subnormals too.
    let magnitude = UInt32(bits & 0x7fff) << 13
    let scaled = (Float(bitPattern: magnitude) * Float(bitPattern: 0x7780_0000)).bitPattern
    let special: UInt32 = magnitude >= 0x0f80_0000 ? 0x7f80_0000 : 0
    return Float(bitPattern: scaled | special | UInt32(bits & 0x8000) << 16)
  }

  /// Value of a bfloat16.
  @inlinable
  public static func float(bfloat bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// The nearest IEEE half; values from 65520 become infinite, NaN stays NaN.
  @inlinable
  public static func half(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let magnitude = bits & 0x7fff_ffff
    // Adding 0.5 to a value below 2⁻¹⁴ aligns its mantissa with the subnormal halves, and rounds it.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000
    let normal = (magnitude &+ 0xc800_0fff &+ (magnitude >> 13 & 1)) >> 13
    let special: UInt32 = magnitude > 0x7f80_0000 ? 0x7e00 | (magnitude >> 13 & 0x1ff) : 0x7c00
    let small = magnitude < 0x3880_0000 ? subnormal : normal
    let result = magnitude >= 0x4780_0000 ? special : small
    return UInt16(truncatingIfNeeded: result | bits >> 16 & 0x8000)
  }

  /// The nearest bfloat16; NaN stays NaN.
  @inlinable
  public static func bfloat(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
    let quiet = bits >> 16 | 0x40
    return UInt16(truncatingIfNeeded: bits & 0x7fff_ffff > 0x7f80_0000 ? quiet : rounded)
  }

  /// Value of an FP8 E4M3 code (no infinities; 0x7f and 0xff are NaN).
  public static func float(e4m3 bits: UInt8) -> Float {
    if bits & 0x7f == 0x7f { return Float(bitPattern: UInt32(bits & 0x80) << 24 | 0x7fc0_0000) }
    // Moved into place, the exponent is too small by 120.
    let scaled = Float(bitPattern: UInt32(bits & 0x7f) << 20) * Float(bitPattern: 0x7b80_0000)
    return Float(bitPattern: scaled.bitPattern | UInt32(bits & 0x80) << 24)
  }

  /// Value of an FP8 E5M2 code: the upper byte of a half.
  public static func float(e5m2 bits: UInt8) -> Float { float(half: UInt16(bits) << 8) }

  /// Value of an FP4 E2M1 code: 0, 0.5, 1, 1.5, 2, 3, 4 or 6, with the sign in the fourth bit.
  public static func float(e2m1 bits: UInt8) -> Float {
    let magnitude = bits & 7
    let value = magnitude < 2 ? Float(magnitude) / 2 : Float(bitPattern: UInt32(magnitude) << 22 &+ 0x3f00_0000)
    return bits & 8 == 0 ? value : -value
  }

  /// Value of an FP4 E3M0 code: 0, or a power of two from 0.25 to 16, with the sign in the fourth bit.
  public static func float(e3m0 bits: UInt8) -> Float {
    let magnitude = bits & 7
    let value = magnitude == 0 ? 0 : Float(bitPattern: (UInt32(magnitude) + 124) << 23)
    return bits & 8 == 0 ? value : -value
  }

  /// The nearest FP8 E4M3 code; magnitudes above 448 become 448, NaN stays NaN.
  @inline(__always) public static func e4m3(_ value: Float) -> UInt8 {
    if value.isNaN { return 0x7f }
    return short(value, largest: 448, smallestNormal: 0x1p-6, mantissaBits: 3, subnormalUnit: 0x1p14, bias: 7)
  }

  /// The nearest finite FP8 E5M2 code; magnitudes above 57344 become 57344, NaN stays NaN.
  @inline(__always) static func e5m2(_ value: Float) -> UInt8 {
    if value.isNaN { return 0x7f }
    return short(value, largest: 57344, smallestNormal: 0x1p-14, mantissaBits: 2, subnormalUnit: 0x1p7, bias: 15)
  }

  /// The nearest FP4 E2M1 code; magnitudes above 6 become 6, NaN becomes 0.
  @inline(__always) static func e2m1(_ value: Float) -> UInt8 {
    if value.isNaN { return 0 }
    let code = short(value, largest: 6, smallestNormal: 1, mantissaBits: 1, subnormalUnit: 0x1p22, bias: 1)
    return code & 7 | code >> 4
  }

  /// The nearest FP4 E3M0 code; magnitudes above 16 become 16, NaN becomes 0.
  @inline(__always) static func e3m0(_ value: Float) -> UInt8 {
    if value.isNaN { return 0 }
    let code = short(value, largest: 16, smallestNormal: 0.25, mantissaBits: 0, subnormalUnit: 0x1p21, bias: 3)
    return code & 7 | code >> 4
  }

  /// - Parameter subnormalUnit: 2²³ times the smallest positive value, which is the last bit of a float of that size.
  @inline(__always) private static func short(
    _ value: Float, largest: Float, smallestNormal: Float, mantissaBits: UInt32, subnormalUnit: Float, bias: UInt32
  ) -> UInt8 {
    let magnitude = min(abs(value), largest)
    let bits = magnitude.bitPattern
    let shift = 23 - mantissaBits
    // Adding the unit aligns the mantissa with the subnormal values, and rounds it.
    let subnormal = (magnitude + subnormalUnit).bitPattern &- subnormalUnit.bitPattern
    let rebased = bits &- (127 - bias) << 23
    let normal = (rebased &+ (1 << (shift - 1) - 1) &+ (bits >> shift & 1)) >> shift
    let code = magnitude < smallestNormal ? subnormal : normal
    return UInt8(truncatingIfNeeded: code | value.bitPattern >> 24 & 0x80)
  }

  /// Value of an E8M0 scale: 2^(code − 127); 255 is NaN.
  public static func float(e8m0 bits: UInt8) -> Float {
    switch bits {
    case 0: Float(bitPattern: 0x0040_0000)
    case 255: .nan
    default: Float(bitPattern: UInt32(bits) << 23)
    }
  }

  /// The E8M0 code of the largest power of two that is not above a value of at least 2⁻¹²⁷.
  static func e8m0(_ value: Float) -> UInt8 { UInt8(truncatingIfNeeded: value.bitPattern >> 23) }

  // MARK: Many values; sources and destinations of bytes need not be aligned

  /// Widens `count` halves.
  public static func widenHalf(_ source: UnsafeRawPointer, _ count: Int, into destination: UnsafeMutablePointer<Float>) {
    qc_widen_halves(source, count, destination)
  }

  /// Widens `count` bfloat16 values.
  public static func widenBFloat(_ source: UnsafeRawPointer, _ count: Int, into destination: UnsafeMutablePointer<Float>) {
    qc_widen_bfloats(source, count, destination)
  }

  /// Rounds `count` floats to halves.
  public static func narrowHalf(_ source: UnsafePointer<Float>, _ count: Int, into destination: UnsafeMutableRawPointer) {
    qc_narrow_halves(source, count, destination)
  }

  /// Rounds `count` floats to bfloat16.
  public static func narrowBFloat(_ source: UnsafePointer<Float>, _ count: Int, into destination: UnsafeMutableRawPointer) {
    qc_narrow_bfloats(source, count, destination)
  }

  /// Rounds `count` doubles to floats.
  public static func narrowDouble(_ source: UnsafeRawPointer, _ count: Int, into destination: UnsafeMutablePointer<Float>) {
    qc_narrow_doubles(source, count, destination)
  }

  /// The little-endian bytes of values that are stored in a float type; values that it does not hold are rounded (E8M0: down).
  public static func bytes(of values: [Float], as type: ElementType) -> [UInt8] {
    let size = type.bitCount / 8
    return [UInt8](unsafeUninitializedCapacity: values.count * size) { buffer, count in
      count = values.count * size
      guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
      switch type {
      case .bf16: narrowBFloat(values, values.count, into: base)
      case .f16: narrowHalf(values, values.count, into: base)
      case .f8e4m3: for i in values.indices { buffer[i] = e4m3(values[i]) }
      case .f8e8m0: for i in values.indices { buffer[i] = e8m0(values[i]) }
      default: values.withUnsafeBytes { if let source = $0.baseAddress { base.copyMemory(from: source, byteCount: $0.count) } }
      }
    }
  }
}
