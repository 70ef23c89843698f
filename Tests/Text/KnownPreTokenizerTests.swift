import QuantCore
import TestSupport
import Testing

@testable import QuantText

/// The names of llama.cpp's pre-tokenizers, and how a rule from a tokenizer.json is recognised as one of them.
@Suite struct KnownPreTokenizerTests {
  /// Names that llama.cpp's converter gives to byte-level tokenizers.
  private static let converterNames = [
    "a.x-4.0", "afmoe", "bailingmoe", "bailingmoe2", "bloom", "chameleon", "chatglm-bpe", "codeshell", "cohere2moe", "command-r", "dbrx",
    "deepseek-coder", "deepseek-llm", "deepseek-r1-qwen", "deepseek-v3", "exaone", "exaone-moe", "exaone4", "f2llmv2", "falcon",
    "falcon-h1",
    "falcon3", "gigachat", "glm4", "gpt-2", "gpt-4o", "gpt3-finnish", "granite-docling", "granite-embed-multi-97m", "grok-2", "hunyuan",
    "hunyuan-dense", "hy_v4", "jais", "jais-2", "jina-v1-en", "jina-v2-code", "jina-v2-de", "jina-v2-es", "jina-v5-nano", "joyai-llm",
    "kanana2", "kimi-k2", "kormo", "laguna", "lfm2", "llama-bpe", "llama4", "megrez", "mellum", "mellum2", "midm-2.0", "minerva-7b",
    "minicpm5", "minimax-m2", "modern-bert", "mpt", "olmo", "phi-2", "pixtral", "poro-chat", "qwen2", "qwen35", "refact", "roberta-bpe",
    "seed-coder", "smaug-bpe", "smollm", "solar-open", "spark2_5", "stablelm2", "starcoder", "superbpe", "talkie", "tekken", "tiny_aya",
    "trillion", "ufakzeka", "viking", "youtu",
  ]

  /// Rules that cut text alike, by the name that is chosen for them.
  private static let equals = [
    "gpt-2": [
      "phi-2", "mpt", "olmo", "exaone4", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "modern-bert",
      "jais", "trillion", "granite-docling", "jina-v1-en", "jina-v2-code", "roberta-bpe",
    ],
    "llama-bpe": ["llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "glm4", "glm5"],
    "dbrx": ["smaug-bpe", "chatglm-bpe"],
    "qwen2": ["deepseek-r1-qwen", "stablelm2", "megrez", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"],
    "bailingmoe": ["bailingmoe2", "llada-moe"],
    "gpt-4o": ["llama4", "kanana2", "talkie", "minimax-m2"], "llama4": ["granite-embed-multi-97m"],
    "deepseek-v3": ["hunyuan-dense", "joyai-llm", "hy_v4"],
    "smollm": ["starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"], "poro-chat": ["bloom", "gpt3-finnish"],
    "tiny_aya": ["cohere2moe"],
  ]

  @Test func everyNameOfTheConverterIsKnown() {
    for name in Self.converterNames { #expect(Tokenizers.knows(preTokenizer: name), "\(name)") }
  }

  @Test func everyRuleIsRecognisedAsItselfOrAsOneThatMeansTheSame() {
    for named in KnownPreTokenizers.named {
      let found = KnownPreTokenizers.name(of: named.preTokenizer, ignoresMerges: named.ignoresMerges ?? false) ?? "none"
      #expect(found == named.name || Self.equals[found]?.contains(named.name) == true, "\(named.name) is recognised as \(found)")
    }
  }

  @Test func everyExpressionIsUnderstood() {
    let steps = [
      "jais-2": 1, "deepseek-llm": 6, "deepseek-coder": 5, "spark2_5": 4, "youtu": 2, "poro-chat": 1, "viking": 2, "chameleon": 6,
      "kimi-k2": 1, "superbpe": 2, "bailingmoe": 1, "seed-coder": 1, "ufakzeka": 1, "afmoe": 3, "laguna": 2, "exaone-moe": 1, "minicpm5": 2,
      "default": 4,
    ]
    for (name, count) in steps { #expect(KnownPreTokenizers.named.first { $0.name == name }?.steps.count == count, "\(name)") }
  }

  /// A spelling that no table has is recognised by what it does.
  @Test func anotherSpellingHasTheSameName() throws {
    let spelled = #"(?:'(?:s|t|re|ve|m|ll|d))|[ ]?\p{L}+|[ ]?\p{N}+|[ ]?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    let steps = [try KnownPreTokenizers.pattern(spelled)]
    #expect(steps != [.gpt2])
    #expect(KnownPreTokenizers.name(of: PreTokenizer(steps: steps), ignoresMerges: false) == "gpt-2")
    let other = [try KnownPreTokenizers.pattern(#"[xyz]+|\s"#)]
    #expect(KnownPreTokenizers.name(of: PreTokenizer(steps: other), ignoresMerges: false) == nil)
  }
}

/// Regular expressions of tokenizer files.
@Suite struct ExpressionTests {
  /// The parts of a text that match, and those between.
  private func parts(_ expression: String, _ text: String, _ behavior: Expression.Behavior = .isolated, inverted: Bool = false) throws
    -> [String]
  {
    let step = SplitPattern.expression(try ExpressionParser.parse(expression), behavior, inverted: inverted)
    let bytes = Array(text.utf8)
    var result: [String] = []
    PreTokenizer(steps: [step]).ranges(of: bytes) { result.append(String(decoding: bytes[$0], as: UTF8.self)) }
    return result
  }

  @Test(arguments: [
    ("a|ab", "aab", ["a", "a", "b"]), ("(?:ab)+", "xababy", ["x", "abab", "y"]), ("a*?b", "aab", ["aab"]),
    ("a{2,3}", "aaaaa", ["aaa", "aa"]),
    (#"\s+(?!\S)|\s+"#, "a   b", ["a", "  ", " ", "b"]), (#"(?<=x)y"#, "yxy", ["yx", "y"]),
    (#"\bfoo\b"#, "foo food", ["foo", " food"]),
    ("(?i:ab)", "AbaB", ["Ab", "aB"]), (#"[\p{L}&&[^\p{Han}]]+"#, "a\u{4e2d}b", ["a", "\u{4e2d}", "b"]),
    ("[^a-c]", "abxc", ["ab", "x", "c"]),
    (#"\u4e2d|[\x41-C]"#, "A\u{4e2d}D", ["A", "\u{4e2d}", "D"]), ("(?=(\\d{3})+(?!\\d))", "12345", ["12", "345"]),
    ("^a|a$", "aaa", ["a", "a", "a"]),
    (#"a++a"#, "aaa", ["aaa"]), (#"[]x]+"#, "a]x", ["a", "]x"]),
  ])
  func whatMatches(expression: String, text: String, expected: [String]) throws { #expect(try parts(expression, text) == expected) }

  @Test func whatBecomesOfMatches() throws {
    #expect(try parts(",", "a,b,,c", .removed) == ["a", "b", "c"])
    #expect(try parts(",", "a,b,,c", .mergedWithPrevious) == ["a,", "b,", ",", "c"])
    #expect(try parts(",", "a,b,,c", .mergedWithNext) == ["a", ",b", ",", ",c"])
    #expect(try parts(",", "a,b,,c", .contiguous) == ["a", ",", "b", ",,", "c"])
    #expect(try parts("[a-c]", "a,b", .removed, inverted: true) == ["a", "b"])
  }

  @Test(arguments: [
    "(a", "a)", "[a", "*", "a{3,1}", #"\p{Xyz}"#, #"\q"#, "(?<name>a)", "(a*)*", #"a\"#, "(?<=ab)c", "[z-a]", "[[:alpha:]]",
  ])
  func whatIsNotUnderstood(expression: String) { #expect(throws: Failure.self) { try ExpressionParser.parse(expression) } }

  @Test func nestingHasALimit() {
    for part in ["(", "["] { #expect(throws: Failure.self) { try ExpressionParser.parse(String(repeating: part, count: 100_000)) } }
  }
}
