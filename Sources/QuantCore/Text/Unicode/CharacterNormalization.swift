/// Changes of single characters, as normalizers of tokenizers make them.
enum CharacterNormalization {
  /// Without NUL, U+FFFD and characters of category C; every white space is a space.
  static func cleaned(_ text: [UInt8]) -> [UInt8] {
    map(text) { byte, result in
      if byte >= 0x20, byte < 0x7f {
        result.append(byte)
      } else if byte == 0x09 || byte == 0x0a || byte == 0x0d {
        result.append(0x20)
      }
    } others: { scalar, bytes, result in
      switch UnicodeClass.of(scalar) {
      case 0: if !isOther(scalar) { result.append(contentsOf: bytes) }
      case UnicodeClass.space: if scalar != 0x85 { result.append(0x20) }
      default: if scalar != 0xfffd { result.append(contentsOf: bytes) }
      }
    }
  }

  /// With a space before and after each Chinese character.
  static func chineseSpaced(_ text: [UInt8]) -> [UInt8] {
    map(text) { byte, result in
      result.append(byte)
    } others: { scalar, bytes, result in
      let isChinese = isChinese(scalar)
      if isChinese { result.append(0x20) }
      result.append(contentsOf: bytes)
      if isChinese { result.append(0x20) }
    }
  }

  /// Without combining marks: `all` of them, or only those that take no room of their own (category Mn).
  static func withoutMarks(_ text: [UInt8], all: Bool) -> [UInt8] {
    // Below U+0300 (lead byte 0xcc) there are none.
    if text.allSatisfy({ $0 < 0xcc }) { return text }
    return map(text) { byte, result in
      result.append(byte)
    } others: { scalar, bytes, result in
      let isMark = UnicodeClass.of(scalar) == UnicodeClass.mark
      let isRemoved = isMark && (all || Unicode.Scalar(scalar)?.properties.generalCategory == .nonspacingMark)
      if !isRemoved { result.append(contentsOf: bytes) }
    }
  }

  /// In lower case, each character for itself.
  static func lowercased(_ text: [UInt8]) -> [UInt8] {
    map(text) { byte, result in
      result.append(byte &- 0x41 < 26 ? byte | 0x20 : byte)
    } others: { scalar, bytes, result in
      let kind = UnicodeClass.of(scalar)
      // Roman numerals and letters in circles have cases too.
      if kind & (UnicodeClass.upper | UnicodeClass.number | UnicodeClass.symbol) != 0, let character = Unicode.Scalar(scalar) {
        result.append(contentsOf: character.properties.lowercaseMapping.utf8)
      } else {
        result.append(contentsOf: bytes)
      }
    }
  }

  /// Without white space at the start, or at the end.
  static func stripped(_ text: [UInt8], start: Bool, end: Bool) -> [UInt8] {
    var low = 0
    var high = text.count
    while start, low < high {
      let (scalar, length) = ScalarText.scalar(in: text, at: low)
      guard UnicodeClass.of(scalar) == UnicodeClass.space else { break }
      low += length
    }
    while end, high > low {
      var first = high - 1
      while first > low, text[first] & 0xc0 == 0x80 { first -= 1 }
      guard UnicodeClass.of(ScalarText.scalar(in: text, at: first).0) == UnicodeClass.space else { break }
      high = first
    }
    return low == 0 && high == text.count ? text : Array(text[low..<high])
  }

  @inline(__always) private static func map(
    _ text: [UInt8], ascii: (UInt8, inout [UInt8]) -> Void, others: (UInt32, ArraySlice<UInt8>, inout [UInt8]) -> Void
  ) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var index = 0
    while index < text.count {
      let byte = text[index]
      if byte < 0x80 {
        ascii(byte, &result)
        index += 1
        continue
      }
      let (scalar, length) = ScalarText.scalar(in: text, at: index)
      others(scalar, text[index..<index + length], &result)
      index += length
    }
    return result
  }

  /// Control and format characters and private use, by the tables of the tokenizers library, which are of Unicode 8.
  private static func isOther(_ scalar: UInt32) -> Bool {
    switch Unicode.Scalar(scalar)?.properties.generalCategory {
    case .control, .privateUse, .surrogate, nil: true
    case .format: !laterFormats.contains { $0.contains(scalar) }
    default: false
    }
  }

  /// Format characters that are younger than those tables.
  private static let laterFormats: [ClosedRange<UInt32>] = [0x890...0x891, 0x8e2...0x8e2, 0x110cd...0x110cd, 0x13430...0x1343f]

  /// The blocks that BERT's tokenizers treat as Chinese. The fifth begins at U+2B920 there, not at U+2B820.
  static func isChinese(_ scalar: UInt32) -> Bool {
    switch scalar {
    case 0x4e00...0x9fff, 0x3400...0x4dbf, 0xf900...0xfaff, 0x20000...0x2a6df, 0x2a700...0x2b73f, 0x2b740...0x2b81f, 0x2b920...0x2ceaf,
      0x2f800...0x2fa1f:
      true
    default: false
    }
  }
}

extension [UInt8] {
  /// Appends a scalar as UTF-8; U+FFFD for what is not one.
  mutating func append(scalar: UInt32) {
    if scalar < 0x80 { return append(UInt8(truncatingIfNeeded: scalar)) }
    append(contentsOf: Unicode.Scalar(scalar).flatMap { UTF8.encode($0) } ?? UTF8.encodedReplacementCharacter)
  }
}
