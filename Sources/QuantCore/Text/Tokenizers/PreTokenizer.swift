/// Splits text into words, within which tokens merge, for byte-level BPE.
struct PreTokenizer: Sendable, Equatable {
  /// Applied one after another, each to the parts that the previous one gives.
  var steps: [SplitPattern]
  /// Applied after those to the spelling of the bytes, if a file has steps after `ByteLevel`. This makes a difference: the
  /// second byte of many characters is spelled `¼` or `²`, which are numbers.
  var spelledSteps: [SplitPattern] = []
  /// Whether text that does not start with a space gets one.
  var prependsSpace = false

  /// Calls `body` with the bytes of each word in order.
  func words(of bytes: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) {
    let bytes = prependsSpace && bytes.first != 0x20 ? [0x20] + bytes : bytes
    ranges(of: bytes) { body(bytes[$0]) }
  }

  /// Calls `body` with the range of each word in order; no space is prepended.
  func ranges(of bytes: [UInt8], _ body: (Range<Int>) -> Void) {
    var pieces = PreTokenizer.byteRanges(ScalarText(bytes), [0..<bytes.count], steps)
    if !spelledSteps.isEmpty { pieces = PreTokenizer.byteRanges(ScalarText(spelling: bytes), pieces, spelledSteps) }
    for piece in pieces where !piece.isEmpty { body(piece) }
  }

  private static func byteRanges(_ text: ScalarText, _ ranges: [Range<Int>], _ steps: [SplitPattern]) -> [Range<Int>] {
    // A whole text is one range. With several ranges there is one scalar per byte, so ranges of bytes are ranges of scalars.
    var pieces = ranges.count == 1 ? [0..<text.scalars.count] : ranges
    for step in steps {
      var finer: [Range<Int>] = []
      finer.reserveCapacity(pieces.count)
      for piece in pieces { step.split(text, piece, into: &finer) }
      pieces = finer
    }
    return pieces.map { text.starts[$0.lowerBound]..<text.starts[$0.upperBound] }
  }
}

/// The pre-tokenizers that are known by name or by the pattern in tokenizer.json.
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
  }

  /// If several names mean the same, the first one that fits is chosen for a tokenizer.json.
  static let named: [Named] = [
    Named(name: "gpt-2", steps: [.gpt2]),
    Named(name: "llama-bpe", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    Named(name: "dbrx", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: false),
    Named(name: "smaug-bpe", steps: [.gpt4(maximumDigits: 3, marks: false)]),
    Named(name: "qwen2", steps: [.gpt4(maximumDigits: 1, marks: false)], normalizes: true),
    Named(name: "deepseek-r1-qwen", steps: [.gpt4(maximumDigits: 1, marks: false)]),
    Named(name: "stablelm2", steps: [.gpt4(maximumDigits: 1, marks: false)]),
    Named(name: "qwen35", steps: [.gpt4(maximumDigits: 1, marks: true)], normalizes: true),
    Named(name: "gpt-4o", steps: [.cased(maximumDigits: 3, contractions: true)], ignoresMerges: false),
    Named(name: "llama4", steps: [.cased(maximumDigits: 3, contractions: true)]),
    Named(name: "tekken", steps: [.cased(maximumDigits: 1, contractions: false)], ignoresMerges: true),
    Named(name: "deepseek-v3", steps: [.numbers(maximum: 3), .chineseAndJapanese, .deepseek]),
    Named(
      name: "falcon", steps: [.punctuation(runs: true), .gpt2], spelledSteps: [.numbers(maximum: .max), .threeDigits]),
    Named(name: "smollm", steps: [.numbers(maximum: 1), .gpt2]),
    Named(name: "starcoder", steps: [.numbers(maximum: 1), .gpt2]),
    Named(name: "refact", steps: [.numbers(maximum: 1), .gpt2]),
    Named(name: "command-r", steps: [.numbers(maximum: 1), .gpt2]),
    // Other names for the same pre-tokenizers, in GGUF files of these families.
    Named(name: "phi-2", steps: [.gpt2]),
    Named(name: "mpt", steps: [.gpt2]),
    Named(name: "olmo", steps: [.gpt2]),
    Named(name: "exaone4", steps: [.gpt2]),
    Named(name: "llama3", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    Named(name: "llama-v3", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    Named(name: "falcon3", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    Named(name: "glm4", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    Named(name: "chatglm-bpe", steps: [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: false),
    Named(name: "megrez", steps: [.gpt4(maximumDigits: 1, marks: false)]),
    Named(name: "hunyuan-dense", steps: [.numbers(maximum: 3), .chineseAndJapanese, .deepseek]),
  ]

  /// The name for a pre-tokenizer from a tokenizer.json, or nil.
  static func name(of preTokenizer: PreTokenizer, ignoresMerges: Bool) -> String? {
    named.first {
      $0.steps == preTokenizer.steps && $0.spelledSteps == preTokenizer.spelledSteps
        && ($0.ignoresMerges ?? ignoresMerges) == ignoresMerges
    }?.name
  }

  /// - Throws: `Failure` `tokenizer.pre` for an unknown name.
  static func find(_ name: String) throws(Failure) -> Named {
    if let known = named.first(where: { $0.name == name }) { return known }
    throw Failure(
      .unsupported, "tokenizer.pre", "the pre-tokenizer '\(name)' is not known",
      remedy: "Choose one with \(setting: "pre") NAME: \(named.map { $0.name }.joined(separator: ", ")).")
  }

  private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let ending = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
  private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
  private static let inFront = #"[^\r\n\p{L}\p{N}]?"#

  /// Regular expressions as tokenizer.json spells them. Of several for one pattern, the first is used for output.
  private static let patterns: KeyValuePairs<String, SplitPattern> = [
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
    // Falcon
    "[0-9][0-9][0-9]": .threeDigits,
  ]

  /// - Throws: `Failure` `tokenizer.pattern` for an unknown pattern.
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
    throw Failure(
      .unsupported, "tokenizer.pattern", "the pre-tokenizer's pattern is not known: \(spelled)",
      remedy: "Choose another pre-tokenizer than the file's with \(setting: "pre") NAME.")
  }

  /// The steps of a pre-tokenizer as tokenizer.json spells them.
  static func sections(of steps: [SplitPattern]) -> [JSON] {
    steps.compactMap { step in
      if case .punctuation(let runs) = step {
        return .object([.init("type", .string("Punctuation")), .init("behavior", .string(runs ? "Contiguous" : "Isolated"))])
      }
      guard let expression = patterns.first(where: { $0.value == step })?.key else { return nil }
      return .object([
        .init("type", .string("Split")), .init("pattern", .object([.init("Regex", .string(expression))])),
        .init("behavior", .string("Isolated")), .init("invert", .bool(false)),
      ])
    }
  }
}
