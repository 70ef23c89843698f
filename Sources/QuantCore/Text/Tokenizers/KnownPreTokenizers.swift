/// The pre-tokenizers that llama.cpp knows by name. One from a tokenizer.json is recognised by where it cuts a probe text.
enum KnownPreTokenizers {
  /// A name that GGUF files use, and what it means.
  struct Named: Sendable {
    var name: String
    var steps: [SplitPattern]
    /// As in `PreTokenizer`.
    var spelledSteps: [SplitPattern] = []
    /// Whether the name implies that words in the vocabulary are single tokens; nil if it does not matter.
    var ignoresMerges: Bool?
    /// Whether models with this name normalize to NFC, which GGUF files do not record.
    var normalizes = false

    var preTokenizer: PreTokenizer { PreTokenizer(steps: steps, spelledSteps: spelledSteps) }
  }

  /// The name for a pre-tokenizer from a tokenizer.json, or nil. If several names mean the same, it is the first that fits.
  static func name(of preTokenizer: PreTokenizer, ignoresMerges: Bool) -> String? {
    // No name means that a space is put before a text.
    if preTokenizer.prependsSpace { return nil }
    func fits(_ known: Named) -> Bool { (known.ignoresMerges ?? ignoresMerges) == ignoresMerges }
    if let same = named.first(where: { fits($0) && $0.steps == preTokenizer.steps && $0.spelledSteps == preTokenizer.spelledSteps }) {
      return same.name
    }
    let cuts = cuts(preTokenizer)
    return zip(named, knownCuts).first { fits($0) && $1 == cuts }?.0.name
  }

  /// - Throws: `Failure` `tokenizer.pre` for an unknown name.
  static func find(_ name: String) throws(Failure) -> Named {
    if let known = named.first(where: { $0.name == name }) { return known }
    throw Failure(
      .unsupported, "tokenizer.pre", "the pre-tokenizer '\(name)' is not known",
      remedy: "Choose one with \(setting: "pre") NAME: \(named.map { $0.name }.joined(separator: ", ")).")
  }

  // MARK: Recognition

  /// Where a pre-tokenizer cuts the probe text.
  static func cuts(_ preTokenizer: PreTokenizer) -> [Int] {
    var plain = preTokenizer
    plain.prependsSpace = false
    var result: [Int] = []
    plain.ranges(of: probe) { result += [$0.lowerBound, $0.upperBound] }
    return result
  }

  private static let knownCuts = named.map { cuts($0.preTokenizer) }

  /// A text that the rules of all names cut differently, unless they mean the same.
  static let probe: [UInt8] = {
    let text = """
      I'm you're HE'S we'Ll she'd 'tis 'n' O'Neil'S \u{17f}'\u{17f} can't x'tis l'dan\r\n\r\n x  \n\n  \n y\t\t z   9  99 -1\u{a0}\u{3000} q\r\n
      1 12 123 1234 12345 123456 1234567 1,234.5 a1b22c333d4444 \u{bd}\u{b2}\u{2167}\u{663} 7\u{664}\u{665}8 $5.00 +7 <8> `9` ^0~ |1|
      CamelCase HTTPServer iPhone XMLa ABCd \u{1c5}\u{1c6} \u{2b0}\u{2b7} \u{c9}COLE \u{e9}cole e\u{301}a a\u{323}\u{307}B \u{301}x  \u{301}\u{301} .\u{301}
      snake_case __init__ (normal) ((a)) !!! ?? .. !? ;; /path/to/ //x/\n https://a.b/c?d=e#f "q" 'q' a+b==c && d!=e; x/\n/ ,a .b :c -d #e @f
      \u{4f60}\u{597d},\u{4e16}\u{754c}!a\u{4e2d}b \u{6f22}\u{5b57}\u{304b}\u{306a}\u{30ab}\u{30bf} \u{3400}\u{3007}\u{9fa6} \u{f900}\u{ff01}\u{3001}\u{3002}\u{ff0c}\u{ff21}\u{ff10} \u{2026}\u{201c}x\u{201d}\u{2014}
      \u{d55c}\u{ad6d}\u{c5b4} \u{1100}\u{1161}\u{11a8}\u{3131} \u{3105}\u{310a} \u{915}\u{94d}\u{937}\u{93f} \u{e44}\u{e17}\u{e22}\u{e17}\u{e35}\u{e48} \u{e81}\u{eb2} \u{1780}\u{17b6} \u{1019}\u{103c} \u{5e9}\u{5b8}\u{5dc} \u{645}\u{64f} \u{60c}\u{6d4}\u{964}
      \u{1f600}\u{1f44d}\u{1f3fd} \u{1f468}\u{200d}\u{1f469} \u{2028}\u{85}x\u{b} \u{1}\u{7f} \u{e000} a\u{200b}b \u{fb01}\u{131}\u{1c80} \u{800}\u{d7a4}
      <sentinel:12> IMGIMGABCZ IMGIMGIZ a b c d\u{308} e f    four     five      six\t\n
      """
    let spaces = { (count: Int) in String(repeating: " ", count: count) }
    return Array([text, spaces(1100), "x", spaces(7), "end.  \n   "].joined().utf8)
  }()
}
