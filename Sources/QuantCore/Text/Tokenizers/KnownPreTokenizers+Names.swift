/// The names. If several mean the same, the first one that fits is chosen for a tokenizer.json.
extension KnownPreTokenizers {
  static let named: [Named] = groups.flatMap { $0 }

  private static let groups: [[Named]] = [
    group(["gpt-2"], [.gpt2]),
    group(["llama-bpe"], [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    group(["dbrx"], [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: false),
    group(["smaug-bpe"], [.gpt4(maximumDigits: 3, marks: false)]),
    group(["qwen2"], [.gpt4(maximumDigits: 1, marks: false)], normalizes: true),
    group(
      ["deepseek-r1-qwen", "stablelm2", "megrez", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"],
      [.gpt4(maximumDigits: 1, marks: false)]),
    group(["qwen35"], [.gpt4(maximumDigits: 1, marks: true)], normalizes: true),
    group(["gpt-4o"], [.cased(maximumDigits: 3, contractions: true)], ignoresMerges: false),
    group(["llama4", "kanana2", "talkie", "minimax-m2"], [.cased(maximumDigits: 3, contractions: true)]),
    group(["granite-embed-multi-97m"], [.cased(maximumDigits: 3, contractions: true)], ignoresMerges: true),
    group(["tekken"], [.cased(maximumDigits: 1, contractions: false)], ignoresMerges: true),
    group(["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"], [.numbers(maximum: 3), .chineseAndJapanese, .deepseek]),
    [
      Named(name: "falcon", steps: [.punctuation(runs: true), .gpt2], spelledSteps: [.numbers(maximum: .max), .threeDigits])
    ],
    group(
      ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"], [.numbers(maximum: 1), .gpt2]),
    // Other names for the same pre-tokenizers, in GGUF files of these families.
    group(
      [
        "phi-2", "mpt", "olmo", "exaone4", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "modern-bert",
        "jais", "trillion", "granite-docling", "jina-v1-en", "jina-v2-code", "roberta-bpe",
      ], [.gpt2]),
    group(
      ["llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "glm4", "glm5"],
      [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: true),
    group(["chatglm-bpe"], [.gpt4(maximumDigits: 3, marks: false)], ignoresMerges: false),
    // Rules without a hand-written scanner.
    group(["jais-2"], expressions: [llama3Start + #"|\s*[\r\n]+"# + steppedSpaces]),
    group(["deepseek-llm"], expressions: ["[\r\n]", deepseekWords, #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#, #"\s+$"#, eastAsian, #"\p{N}+"#]),
    group(["deepseek-llm"], expressions: ["[\r\n]", deepseekWords, #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#, #"\s+$"#, eastAsian, #"\p{N}"#]),
    group(["deepseek-coder"], expressions: ["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, eastAsian, #"\p{N}"#]),
    group(
      ["spark2_5"],
      expressions: [
        #"\p{N}{1,3}"#, japanese, deepseekStart + #"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"#, #"\p{N}"#,
      ]),
    group(
      ["youtu"], expressions: [#"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"#, cased(maximumDigits: 1)],
      ignoresMerges: true),
    group(["poro-chat", "bloom", "gpt3-finnish"], expressions: [sentenceParts]),
    group(["viking"], expressions: [sentenceParts, #"\p{N}"#]),
    group(
      ["chameleon"],
      expressions: [
        "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", #"([\t\n]|    |  )"#, #"\p{N}"#, #"[\p{P}!-/:-@\[-`{-~]"#, gpt2,
      ]),
    group(["tiny_aya", "cohere2moe"], [.digitGroups, .cased(maximumDigits: 3, contractions: true)]),
    group(
      ["tiny_aya"], expressions: [#"\d{1,3}(?=(?:\d{3})*\b)"#, cased(maximumDigits: 3)]),
    group(["kimi-k2"], expressions: [kimi]),
    group(["superbpe"], expressions: [#"\p{N}+"#, #"(?=(\d{3})+(?!\d))"#]),
    group(
      ["bailingmoe", "bailingmoe2", "llada-moe"],
      expressions: [
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
      ]),
    group(
      ["seed-coder"],
      expressions: [contractions + "|" + inFront + #"\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+"# + ending]),
    group(["ufakzeka"], expressions: [inFront + #"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + ending]),
    [Named(name: "afmoe", steps: [.digitGroups] + parsed([widerEastAsian]) + [.deepseek])],
    [Named(name: "laguna", steps: parsed([#"[^\n]+|[\n]+"#]) + [.gpt4(maximumDigits: 1, marks: false)])],
    group(
      ["exaone-moe"],
      expressions: [
        contractions + "|" + inFront + #"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"#
      ]),
    group(
      ["minicpm5"],
      expressions: [#"\p{N}{1,3}"#, contractions + "|" + inFront + #"\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*"# + ending],
      ignoresMerges: true),
    // llama.cpp's rule for files that name none.
    group(["default"], expressions: [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
  ]

  private static func group(
    _ names: [String], _ steps: [SplitPattern], ignoresMerges: Bool? = nil, normalizes: Bool = false
  ) -> [Named] {
    names.map { Named(name: $0, steps: steps, ignoresMerges: ignoresMerges, normalizes: normalizes) }
  }

  private static func group(_ names: [String], expressions: [String], ignoresMerges: Bool? = nil) -> [Named] {
    group(names, parsed(expressions), ignoresMerges: ignoresMerges)
  }

  /// A test checks that none of these is left out.
  private static func parsed(_ expressions: [String]) -> [SplitPattern] { expressions.compactMap { try? pattern($0) } }

  // MARK: Parts of expressions

  private static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  private static let llama3Start = contractions + "|" + inFront + #"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
  private static let steppedSpaces =
    [512, 256, 128, 64, 32, 16, 8, 4].map { #"|\s{\#($0)}(?!\S)"# }.joined() + #"|\s{1,2}(?!\S)|\s{1}"#
  private static let eastAsian = "[一-龥ࠀ-一가-\u{d7ff}]+"
  private static let japanese = "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+"
  private static let widerEastAsian =
    "[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{f900}-\u{faff}\u{3040}-\u{309f}\u{30a0}-\u{30ff}\u{ff65}-\u{ff9f}\u{2f00}-\u{2fdf}"
    + "\u{e40}-\u{e7f}\u{e80}-\u{eff}\u{1780}-\u{17ff}\u{1000}-\u{109f}\u{aa60}-\u{aa7f}\u{a9e0}-\u{a9ff}\u{ac00}-\u{d7af}\u{1100}-\u{11ff}]+"
  private static let deepseekStart =
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
  private static let sentenceParts = #" ?[^(\s|.,!?…。，、।۔،)]+"#

  private static func cased(maximumDigits: Int) -> String {
    let word = { (first: String, second: String) in inFront + first + second + contractions + "?|" }
    let numbers = maximumDigits == 1 ? #"\p{N}"# : #"\p{N}{1,\#(maximumDigits)}"#
    return word(upper + "*", lower + "+") + word(upper + "+", lower + "*") + numbers + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + ending
  }

  private static let kimi: String = {
    let noHan = #"&&[^\p{Han}]]"#
    let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"# + noHan, lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}"# + noHan
    return #"[\p{Han}]+|"# + inFront + upper + "*" + lower + "+" + contractions + "?|" + inFront + upper + "+" + lower + "*" + contractions
      + #"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + ending
  }()

  /// Letters that have cases, as DeepSeek LLM lists them.
  private static let deepseekWords =
    "\\s?["
    + "A-Za-z\u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}\u{295}-\u{2af}\u{370}-\u{373}"
    + "\u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}\u{388}-\u{38a}\u{38c}\u{38e}-\u{3a1}\u{3a3}-\u{3f5}\u{3f7}-\u{481}"
    + "\u{48a}-\u{52f}\u{531}-\u{556}\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}\u{13f8}-\u{13fd}\u{1c90}-\u{1cba}\u{1cbd}-\u{1cbf}"
    + "\u{1d00}-\u{1d2b}\u{1d6b}-\u{1d77}\u{1d79}-\u{1d9a}\u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}\u{1f20}-\u{1f45}"
    + "\u{1f48}-\u{1f4d}\u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\u{1f5d}\u{1f5f}-\u{1f7d}\u{1f80}-\u{1fb4}\u{1fb6}-\u{1fbc}\u{1fbe}"
    + "\u{1fc2}-\u{1fc4}\u{1fc6}-\u{1fcc}\u{1fd0}-\u{1fd3}\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}\u{1ff2}-\u{1ff4}"
    + "\u{1ff6}-\u{1ffc}\u{2102}\u{2107}\u{210a}-\u{2113}\u{2115}\u{2119}-\u{211d}\u{2124}\u{2126}\u{2128}\u{212a}-\u{212d}"
    + "\u{212f}-\u{2134}\u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\u{2183}\u{2184}\u{2c00}-\u{2c7b}\u{2c7e}-\u{2ce4}"
    + "\u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}\u{a640}-\u{a66d}\u{a680}-\u{a69b}\u{a722}-\u{a76f}\u{a771}-\u{a787}\u{a78b}-\u{a78e}"
    + "\u{ab70}-\u{abbf}\u{fb00}-\u{fb06}\u{fb13}-\u{fb17}\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\u{10400}-\u{1044f}"
    + "\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}"
    + "]+"
}
