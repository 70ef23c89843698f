/// A float rounded to 16 bits, as blocks store scales: to nearest, ties to even, infinite above 65519.
struct HalfFloat {
  /// The IEEE 754 bits.
  let bits: UInt16

  init(_ value: Float) {
    // The sign of a NaN is kept and its payload is fixed, as llama.cpp writes it.
    bits = value.isNaN ? UInt16(value.bitPattern >> 16 & 0x8000) | 0x7E00 : Float16(value).bitPattern
  }

  init(bits: UInt16) { self.bits = bits }

  /// From two little-endian bytes.
  init(_ bytes: UnsafePointer<UInt8>) { bits = UInt16(bytes[0]) | UInt16(bytes[1]) << 8 }

  /// The stored value.
  var value: Float { Float(Float16(bitPattern: bits)) }

  /// Writes two little-endian bytes.
  func store(_ bytes: UnsafeMutablePointer<UInt8>) {
    bytes[0] = UInt8(truncatingIfNeeded: bits)
    bytes[1] = UInt8(truncatingIfNeeded: bits >> 8)
  }
}
