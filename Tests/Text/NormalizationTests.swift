import QuantCore
import Testing

@testable import QuantText

/// Normalization form C, compared with the standard library's canonical equivalence, which uses other tables.
@Suite struct NormalizationTests {
  private func nfc(_ text: String) -> String { String(decoding: Normalization.nfc(Array(text.utf8)), as: UTF8.self) }

  @Test func everyCharacterStaysEquivalentAndIsNormalizedOnce() {
    var wrong: [String] = []
    for value in UInt32(0)..<0x30000 {
      // Three Tibetan vowel signs decompose into two marks each, which the standard library does not sort among other marks.
      guard let scalar = Unicode.Scalar(value), ![0xf73, 0xf75, 0xf81].contains(value) else { continue }
      for text in ["\(scalar)", "a\u{301}\(scalar)\u{323}\u{307}"] {
        let once = nfc(text)
        if once != text || !nfc(once).utf8.elementsEqual(once.utf8) { wrong.append("U+" + String(value, radix: 16)) }
      }
    }
    #expect(wrong == [])
  }

  @Test(arguments: [
    ("e\u{301}", "\u{e9}"), ("\u{212b}", "\u{c5}"), ("a\u{307}\u{323}", "\u{1ea1}\u{307}"), ("\u{1100}\u{1161}\u{11a8}", "\u{ac01}"),
    ("\u{ac00}\u{11a8}", "\u{ac01}"), ("\u{915}\u{93c}", "\u{915}\u{93c}"), ("\u{958}", "\u{915}\u{93c}"), ("\u{fb01}", "\u{fb01}"),
    ("a\u{301}\u{f73}\u{323}", "\u{1ea1}\u{f71}\u{f72}\u{301}"),
    ("\u{1d15e}", "\u{1d157}\u{1d165}"), ("\u{3a9}", "\u{3a9}"), ("\u{2126}", "\u{3a9}"), ("a\u{300}\u{301}", "\u{e0}\u{301}"),
  ])
  func knownForms(text: String, expected: String) {
    #expect(Array(nfc(text).unicodeScalars) == Array(expected.unicodeScalars))
  }
}
