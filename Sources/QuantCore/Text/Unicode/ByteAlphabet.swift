/// The printable characters that represent bytes in the tokens of byte-level BPE.
///
/// Bytes that are printable in Latin-1 represent themselves; the others, in order, are U+0100, U+0101, … (GPT-2, `encoder.py`).
enum ByteAlphabet {
  /// Scalar by byte.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      if (0x21...0x7e).contains(byte) || (0xa1...0xac).contains(byte) || byte >= 0xae { return byte }
      defer { next += 1 }
      return next
    }
  }()

  /// UTF-8 of the character by byte.
  static let spellings: [[UInt8]] = scalars.map { value in
    Unicode.Scalar(value).flatMap { UTF8.encode($0) }.map { Array($0) } ?? []
  }

  /// Bytes as a byte-level vocabulary spells them.
  static func spelled(_ bytes: some Sequence<UInt8>) -> String { String(decoding: bytes.flatMap { spellings[Int($0)] }, as: UTF8.self) }

  private static let bytes: [UInt32: UInt8] = {
    var bytes: [UInt32: UInt8] = [:]
    for (byte, scalar) in scalars.enumerated() { bytes[scalar] = UInt8(byte) }
    return bytes
  }()

  /// The bytes that a token represents. A token with any other character (an added one) represents its own text.
  static func decode(_ token: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
      guard let byte = bytes[scalar.value] else { return Array(token) }
      result.append(byte)
    }
    return result
  }
}
