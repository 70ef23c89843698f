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
