/// Text as scalars with their classes, on which the patterns of pre-tokenizers work.
struct ScalarText {
  private(set) var scalars: [UInt32] = []
  private(set) var classes: [UInt8] = []
  /// Byte offset of each scalar, and the number of bytes at the end.
  private(set) var starts: [Int] = []

  /// - Parameter bytes: valid UTF-8.
  init(_ bytes: [UInt8]) {
    scalars.reserveCapacity(bytes.count)
    classes.reserveCapacity(bytes.count)
    starts.reserveCapacity(bytes.count + 1)
    var index = 0
    while index < bytes.count {
      let (scalar, length) = ScalarText.scalar(in: bytes, at: index)
      scalars.append(scalar)
      classes.append(UnicodeClass.of(scalar))
      starts.append(index)
      index += length
    }
    starts.append(bytes.count)
  }

  /// The characters that represent bytes in byte-level tokens, one for each byte.
  init(spelling bytes: [UInt8]) {
    scalars = bytes.map { ByteAlphabet.scalars[Int($0)] }
    classes = scalars.map { UnicodeClass.of($0) }
    starts = Array(0...bytes.count)
  }

  /// The scalar whose first byte is at `index`, and its length in bytes, never beyond the end.
  @inline(__always) static func scalar(in bytes: [UInt8], at index: Int) -> (UInt32, Int) {
    let lead = bytes[index]
    if lead < 0x80 { return (UInt32(lead), 1) }
    let length = min(lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4, bytes.count - index)
    var scalar = UInt32(lead) & (0x7f >> UInt32(length))
    for offset in 1..<max(length, 1) { scalar = scalar << 6 | UInt32(bytes[index + offset] & 0x3f) }
    return (scalar, max(length, 1))
  }
}
