/// The classes of characters that pre-tokenizers distinguish, as bits of a byte.
enum UnicodeClass {
  /// General category L.
  static let letter: UInt8 = 1
  /// General category M.
  static let mark: UInt8 = 2
  /// General category N.
  static let number: UInt8 = 4
  /// General category P.
  static let punctuation: UInt8 = 8
  /// General category S.
  static let symbol: UInt8 = 16
  /// The property White_Space, which is what `\s` means in tokenizer patterns.
  static let space: UInt8 = 32
  /// Lu and Lt; always together with `letter`.
  static let upper: UInt8 = 64
  /// Ll; always together with `letter`.
  static let lower: UInt8 = 128

  /// The class bits of a scalar.
  @inline(__always) static func of(_ scalar: UInt32) -> UInt8 { scalar < table.count ? table[Int(scalar)] : 0 }

  /// Classes by scalar. The planes in between have no assigned characters, and those after the table only private ones.
  private static let table: [UInt8] = {
    var table = [UInt8](repeating: 0, count: 0xe0200)
    for range in [UInt32(0)..<0x40000, 0xe0000..<0xe0200] {
      for value in range {
        if let scalar = Unicode.Scalar(value) { table[Int(value)] = bits(scalar.properties) }
      }
    }
    return table
  }()

  private static func bits(_ properties: Unicode.Scalar.Properties) -> UInt8 {
    if properties.isWhitespace { return space }
    return switch properties.generalCategory {
    case .uppercaseLetter, .titlecaseLetter: letter | upper
    case .lowercaseLetter: letter | lower
    case .modifierLetter, .otherLetter: letter
    case .nonspacingMark, .spacingMark, .enclosingMark: mark
    case .decimalNumber, .letterNumber, .otherNumber: number
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      punctuation
    case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: symbol
    default: 0
    }
  }
}
