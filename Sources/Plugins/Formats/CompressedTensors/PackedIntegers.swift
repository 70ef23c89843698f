import QuantCore

/// Unsigned codes packed into little-endian 32-bit words, first code in the lowest bits: 8 codes of 4 bits, 4 of 8 bits.
///
/// Both widths divide 32, so that the words are plain little-endian bytes: two codes per byte, or one.
enum PackedIntegers {
  /// Codes in one word.
  static func perWord(bits: Int) -> Int { 32 / bits }

  /// Words that hold `count` codes.
  static func words(count: Int, bits: Int) -> Int { (count + perWord(bits: bits) - 1) / perWord(bits: bits) }

  /// Sets one code in a run of words that starts at `start` and is zero so far.
  @inline(__always) static func set(_ code: UInt8, at index: Int, bits: Int, in bytes: inout [UInt8], from start: Int) {
    if bits == 8 {
      bytes[start + index] = code
    } else {
      bytes[start + index / 2] |= index & 1 == 0 ? code & 0xf : code << 4
    }
  }

  /// One code of a run of words.
  @inline(__always) static func get(_ index: Int, bits: Int, from words: UnsafePointer<UInt8>) -> UInt8 {
    guard bits == 4 else { return words[index] }
    return index & 1 == 0 ? words[index / 2] & 0xf : words[index / 2] >> 4
  }
}

/// Scales as a container stores them.
enum StoredScales {
  /// Appends `value`, which `type` holds exactly, in little-endian bytes.
  static func append(_ value: Float, as type: ElementType, to bytes: inout [UInt8]) {
    switch type {
    case .bf16: append(UInt32(NumberConversion.bfloat(value)), 2, to: &bytes)
    case .f16: append(UInt32(NumberConversion.half(value)), 2, to: &bytes)
    default: append(value.bitPattern, 4, to: &bytes)
    }
  }

  private static func append(_ bits: UInt32, _ count: Int, to bytes: inout [UInt8]) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt32(index)))) }
  }
}
