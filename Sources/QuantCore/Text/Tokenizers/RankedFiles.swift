/// Files with a ranked vocabulary: `tekken.json` of Mistral, and tiktoken's lists of Base64 and ranks.
enum RankedFiles {
  /// Mistral's file: a pattern, tokens with ranks, and special tokens, which come first.
  /// - Throws: `Failure` `tokenizer.tekken`, `tokenizer.…`.
  static func tekken(_ root: JSON, preTokenizer: String?) throws(Failure) -> RankedVocabulary {
    let config = root["config"] ?? .null
    guard let entries = root["vocab"]?.arrayValue, let pattern = config["pattern"]?.stringValue,
      let count = config["default_num_special_tokens"]?.intValue, (0...maximumSpecials).contains(count)
    else { throw Failure(.data, "tokenizer.tekken", "there is no 'config' with a pattern and a number of special tokens, or no 'vocab'") }
    var result = RankedVocabulary()
    result.firstID = count
    let step = try KnownPreTokenizers.pattern(pattern)
    let found = KnownPreTokenizers.name(of: PreTokenizer(steps: [step]), ignoresMerges: true)
    guard let name = preTokenizer ?? found else {
      throw Failure(
        .unsupported, "tokenizer.pattern", "the pre-tokenizer's pattern has no name: \(pattern)",
        remedy: "Choose another pre-tokenizer than the file's with \(setting: "pre") NAME.")
    }
    result.preTokenizer = name
    // The file may list more tokens than the model has.
    let used = (config["default_vocab_size"]?.intValue ?? .max) - count
    for entry in entries {
      guard let rank = entry["rank"]?.intValue, let text = entry["token_bytes"]?.stringValue, let bytes = Base64.bytes(of: text.utf8) else {
        throw Failure(.data, "tokenizer.tekken", "an entry of the 'vocab' has no rank or no bytes")
      }
      if rank < used { try result.add(bytes, rank: rank, limit: entries.count) }
    }
    var names: [Int: String] = [:]
    if let listed = root["special_tokens"]?.arrayValue {
      for entry in listed {
        if let rank = entry["rank"]?.intValue, let text = entry["token_str"]?.stringValue { names[rank] = text }
      }
    } else {
      for (rank, text) in tekkenSpecials.enumerated() { names[rank] = text }
    }
    result.special = (0..<count).map { ($0, names[$0] ?? "<SPECIAL_\($0)>") }
    return result
  }

  private static let maximumSpecials = 1 << 20
  /// The special tokens of files that do not list them.
  private static let tekkenSpecials = [
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    "[TOOL_CALLS]", "<pad>", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
  ]

  /// Whether bytes begin as a tiktoken file does: Base64, a space, a number.
  static func isTiktoken(_ bytes: [UInt8]) -> Bool {
    guard let end = bytes.prefix(4096).firstIndex(of: 0x0a) else { return false }
    let parts = bytes[..<end].split(separator: 0x20)
    return parts.count == 2 && Base64.bytes(of: parts[0]) != nil && parts[1].allSatisfy { $0 &- 0x30 < 10 || $0 == 0x0d }
  }

  /// A tiktoken file. Its pattern and special tokens are in a program of the model's authors, so that they depend on the model.
  /// - Throws: `Failure` `tokenizer.tiktoken` for a malformed line, `tokenizer.pre-missing` for a model that is not known.
  static func tiktoken(_ bytes: [UInt8], _ beside: ConfigurationFiles, file: String, preTokenizer: String?) throws(Failure)
    -> RankedVocabulary
  {
    var result = RankedVocabulary()
    let lines = bytes.split(separator: 0x0a)
    for (number, line) in lines.enumerated() {
      let parts = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x0d })
      guard parts.count == 2, let token = Base64.bytes(of: parts[0]), !token.isEmpty,
        let rank = Int(String(decoding: parts[1], as: UTF8.self))
      else { throw Failure(.data, "tokenizer.tiktoken", "line \(number + 1) is not Base64 and a rank") }
      try result.add(token, rank: rank, limit: 2 * lines.count + 65536)
    }
    let known = TiktokenModel.all.first { $0.fits(beside, file: file) }
    guard let name = preTokenizer ?? known?.preTokenizer else {
      throw Failure(
        .unsupported, "tokenizer.pre-missing", "does not say how text is split, and its model is not known",
        remedy: "Name the pre-tokenizer with \(setting: "pre") NAME.")
    }
    result.preTokenizer = name
    var texts = Dictionary((known?.special(result.tokens.count) ?? []).map { ($0.id, $0.text) }) { first, _ in first }
    for (id, text) in try beside.decoderTexts() { texts[id] = text }
    let taken = Set(result.tokens.indices.filter { result.tokens[$0] != nil })
    result.special = texts.filter { !taken.contains($0.key) }.map { ($0.key, $0.value) }.sorted { $0.id < $1.id }
    return result
  }
}

/// Models that publish a tiktoken file.
private struct TiktokenModel: Sendable {
  /// How the name of the file, the model's type or the class of the tokenizer begins, in lower case.
  var names: [String]
  var preTokenizer: String
  /// Special tokens, given the number of ranks.
  var special: @Sendable (Int) -> [(id: Int, text: String)]

  func fits(_ beside: ConfigurationFiles, file: String) -> Bool {
    let found = [file, beside.modelType ?? "", beside.config?["tokenizer_class"]?.stringValue ?? ""].map { $0.lowercased() }
    return found.contains { text in names.contains { text.hasPrefix($0) } }
  }

  private static func numbered(_ texts: [String], extra count: Int, from first: Int) -> [(id: Int, text: String)] {
    (texts + (0..<count).map { "<|extra_\($0)|>" }).enumerated().map { (first + $0, $1) }
  }

  static let all = [
    TiktokenModel(names: ["qwen"], preTokenizer: "qwen2") {
      numbered(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], extra: 205, from: $0)
    },
    TiktokenModel(names: ["hy.", "hunyuan", "hytokenizer"], preTokenizer: "hunyuan") {
      numbered(["<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>"], extra: 205, from: $0)
    },
    TiktokenModel(names: ["kimi", "tiktokentokenizer", "deepseek_v3"], preTokenizer: "kimi-k2") { count in
      (0..<256).map { (count + $0, "<|reserved_token_\(count + $0)|>") }
    },
    TiktokenModel(names: ["chatglm", "glm"], preTokenizer: "chatglm-bpe") { _ in [] },
    TiktokenModel(names: ["llama"], preTokenizer: "llama-bpe") { _ in [] },
  ]
}
