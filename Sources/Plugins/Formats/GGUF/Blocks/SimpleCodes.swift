/// Codes of 4 or 5 bits in blocks of 32: byte j holds the low four bits of codes j and j + 16; fifth bits, if there are any,
/// precede them as one little-endian 32-bit word.
enum SimpleCodes {
  static func pack(_ codes: UnsafePointer<Int32>, bits: Int, into bytes: UnsafeMutablePointer<UInt8>) {
    var low = bytes
    if bits == 5 {
      for byte in 0..<4 {
        var word: Int32 = 0
        for bit in 0..<8 { word |= (codes[8 * byte + bit] >> 4 & 1) << Int32(bit) }
        bytes[byte] = UInt8(truncatingIfNeeded: word)
      }
      low += 4
    }
    for i in 0..<16 { low[i] = UInt8(truncatingIfNeeded: codes[i] & 15 | (codes[i + 16] & 15) << 4) }
  }

  static func unpack(_ bytes: UnsafePointer<UInt8>, bits: Int, into codes: UnsafeMutablePointer<Int32>) {
    let low = bits == 5 ? bytes + 4 : bytes
    for i in 0..<16 {
      codes[i] = Int32(low[i] & 15)
      codes[i + 16] = Int32(low[i] >> 4)
    }
    guard bits == 5 else { return }
    for i in 0..<32 { codes[i] |= Int32(bytes[i / 8] >> UInt8(i % 8) & 1) << 4 }
  }
}
