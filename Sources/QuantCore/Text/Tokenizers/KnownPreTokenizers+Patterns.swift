/// Regular expressions for which there are hand-written scanners.
extension KnownPreTokenizers {
  static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  static let ending = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
  static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
  static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
  static let inFront = #"[^\r\n\p{L}\p{N}]?"#

  /// Regular expressions as tokenizer.json spells them. Of several for one pattern, the first is used for output.
  static let patterns: KeyValuePairs<String, SplitPattern> = [
    // GPT-2 and its many descendants, if a file spells out the pattern
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
    #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
    // Llama 3, GPT-4 (cl100k)
    contractions + "|" + inFront + #"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + ending:
      .gpt4(maximumDigits: 3, marks: false),
    #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"# + ending:
      .gpt4(maximumDigits: 3, marks: false),
    // Qwen 2, 2.5 and 3
    contractions + "|" + inFront + #"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + ending: .gpt4(maximumDigits: 1, marks: false),
    // Qwen 3.5
    contractions + "|" + inFront + #"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"# + ending:
      .gpt4(maximumDigits: 1, marks: true),
    // GPT-4o, Llama 4
    inFront + upper + "*" + lower + "+" + contractions + "?|" + inFront + upper + "+" + lower + "*" + contractions
      + #"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + ending: .cased(maximumDigits: 3, contractions: true),
    // Mistral Nemo and later
    inFront + upper + "*" + lower + "+|" + inFront + upper + "+" + lower + #"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + ending:
      .cased(maximumDigits: 1, contractions: false),
    // DeepSeek V2 and V3
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"##
      + ending: .deepseek,
    "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+": .chineseAndJapanese,
    #"\p{N}{1,3}"#: .numbers(maximum: 3),
    #"\p{N}"#: .numbers(maximum: 1),
    #"\p{N}+"#: .numbers(maximum: .max),
    // Command R7B and Trinity, spelled in our own way
    #"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"#: .digitGroups,
    // Falcon
    "[0-9][0-9][0-9]": .threeDigits,
  ]

  /// The step for a pattern: a hand-written one if it is known.
  /// - Throws: `Failure` `tokenizer.pattern` for a pattern that is not understood.
  static func pattern(_ expression: String) throws(Failure) -> SplitPattern {
    // Some files contain line ends literally, others as escapes.
    let spelled = expression.unicodeScalars.reduce(into: "") { text, scalar in
      switch scalar {
      case "\r": text += #"\r"#
      case "\n": text += #"\n"#
      default: text.unicodeScalars.append(scalar)
      }
    }
    if let known = patterns.first(where: { $0.key == spelled }) { return known.value }
    return .expression(try ExpressionParser.parse(spelled), .isolated, inverted: false)
  }

  /// The steps of a pre-tokenizer as tokenizer.json spells them.
  static func sections(of steps: [SplitPattern]) -> [JSON] {
    steps.compactMap { step in
      switch step {
      case .punctuation(let runs):
        return .object([.init("type", .string("Punctuation")), .init("behavior", .string(runs ? "Contiguous" : "Isolated"))])
      case .whiteSpace: return .object([.init("type", .string("WhitespaceSplit"))])
      case .expression(let expression, let behavior, let inverted): return split(expression.source, behavior.rawValue, inverted)
      default: return patterns.first { $0.value == step }.map { split($0.key, "Isolated", false) }
      }
    }
  }

  private static func split(_ expression: String, _ behavior: String, _ inverted: Bool) -> JSON {
    .object([
      .init("type", .string("Split")), .init("pattern", .object([.init("Regex", .string(expression))])),
      .init("behavior", .string(behavior)), .init("invert", .bool(inverted)),
    ])
  }
}
