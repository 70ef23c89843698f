/// Conversions between 32-bit floats and the two 16-bit types: to nearest, ties to even, as IEEE 754 says.
///
/// Written with integer operations, so that a loop over them becomes vector code on every x86-64 (the instructions for
/// half precision are not part of its baseline).
enum SmallFloat {
  /// Bits of the nearest bfloat16. A NaN stays one.
  @inline(__always) static func bfloat16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let isNaN = bits & 0x7fff_ffff > 0x7f80_0000
    let rounded = (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16
    return UInt16(truncatingIfNeeded: isNaN ? (bits >> 16) | 0x40 : rounded)
  }

  /// The number that bfloat16 bits mean.
  @inline(__always) static func float(bfloat16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// Bits of the nearest half-precision number; beyond its range infinity. A NaN stays one.
  @inline(__always) static func float16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let magnitude = bits & 0x7fff_ffff
    // Exponent re-biased from 127 to 15, then 13 bits rounded off. A carry may reach infinity, which is right.
    let normal = (magnitude &- (112 << 23) &+ 0xfff &+ ((magnitude >> 13) & 1)) >> 13
    // Adding 1/2 puts the last bit of a subnormal half at the end of the significand: the adder does the rounding.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- (126 << 23)
    let isNaN = magnitude > 0x7f80_0000
    let special: UInt32 = isNaN ? 0x7e00 | ((magnitude >> 13) & 0x3ff) : 0x7c00
    let result = magnitude >= 143 << 23 ? special : (magnitude < 113 << 23 ? subnormal : normal)
    return UInt16(truncatingIfNeeded: result | ((bits >> 16) & 0x8000))
  }

  /// The number that half-precision bits mean.
  @inline(__always) static func float(float16 bits: UInt16) -> Float {
    let wide = UInt32(bits)
    // The product moves the exponent from bias 15 to 127 and normalises subnormals on the way.
    let scaled = Float(bitPattern: (wide & 0x7fff) << 13) * Float(bitPattern: 239 << 23)
    let special: UInt32 = wide & 0x7c00 == 0x7c00 ? 0x7f80_0000 : 0
    return Float(bitPattern: scaled.bitPattern | special | (wide & 0x8000) << 16)
  }

  /// `value` as it is after being stored in `type` (`f16`, `bf16`; any other type keeps it).
  @inline(__always) static func rounded(_ value: Float, to type: ElementType) -> Float {
    switch type {
    case .bf16: float(bfloat16: bfloat16Bits(value))
    case .f16: float(float16: float16Bits(value))
    default: value
    }
  }
}
