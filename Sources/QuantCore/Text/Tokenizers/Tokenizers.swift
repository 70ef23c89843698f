/// Makes tokenizers from files, and from the data that a format stores.
public enum Tokenizers {
  /// Reads a tokenizer.
  ///
  /// In a folder, `tokenizer.json` is preferred, then `tokenizer.model`, then `vocab.json` with `merges.txt`; the
  /// configuration files beside them say which tokens are special. A single file is read alone.
  /// - Parameters:
  ///   - path: a folder, or a `tokenizer.json` or `tokenizer.model` file.
  ///   - preTokenizer: name of a pre-tokenizer (`gpt-2`, `llama-bpe`, …) to use instead of the file's.
  /// - Throws: `Failure` `input.…`, `json.…`, `tokenizer.…`.
  public static func load(path: String, preTokenizer: String? = nil) throws -> any Tokenizer {
    let tokenizer = try read(path, preTokenizer)
    if preTokenizer != nil, tokenizer.data.kind != .byteLevelBPE { throw unusedPreTokenizer(file: path) }
    return tokenizer
  }

  /// Whether qconvert knows a pre-tokenizer of this name.
  package static func knows(preTokenizer name: String) -> Bool { (try? KnownPreTokenizers.find(name)) != nil }

  /// The failure if a pre-tokenizer is named for a tokenizer that has none.
  package static func unusedPreTokenizer(file: String) -> Failure {
    Failure(
      .usage, "tokenizer.pre-unused", "is a tokenizer of a kind that has no pre-tokenizer", file: file,
      remedy: "Leave out \(setting: "pre").")
  }

  /// The names of SentencePiece models and of tiktoken files.
  private static let models = ["tokenizer.model", "spiece.model", xlmrFile, "tiktoken.model", "qwen.tiktoken", "hy.tiktoken"]

  private static func read(_ path: String, _ preTokenizer: String?) throws -> any Tokenizer {
    guard Files.isFolder(path) else {
      if path.hasSuffix("tekken.json") { return try inFile(path) { try fromTekken(path, beside: nil, preTokenizer) } }
      if path.hasSuffix(".json") { return try inFile(path) { try fromJSON(path, beside: nil, preTokenizer) } }
      return try inFile(path) { try fromModel(path, beside: nil, preTokenizer) }
    }
    let json = Files.join(path, "tokenizer.json")
    let model = models.map { Files.join(path, $0) }.first { Files.exists($0) }
    let vocabulary = Files.join(path, "vocab.json")
    if Files.exists(json) { return try inFile(json) { try fromJSON(json, beside: path, preTokenizer) } }
    if let model { return try inFile(model) { try fromModel(model, beside: path, preTokenizer) } }
    if Files.exists(vocabulary) { return try inFile(vocabulary) { try fromVocabulary(path, preTokenizer) } }
    let tekken = Files.join(path, "tekken.json")
    if Files.exists(tekken) { return try inFile(tekken) { try fromTekken(tekken, beside: path, preTokenizer) } }
    let words = Files.join(path, "vocab.txt")
    if Files.exists(words) { return try inFile(words) { try fromWords(path) } }
    throw Failure(
      .noInput, "tokenizer.missing", "contains no tokenizer", file: path,
      remedy: "Add tokenizer.json, tokenizer.model, vocab.json with merges.txt, or vocab.txt.")
  }

  /// Makes a tokenizer from data, as a GGUF file stores it. Control and user-defined tokens are matched in text.
  /// - Throws: `Failure` `tokenizer.…` if the data contradicts itself or its pre-tokenizer is not known.
  public static func make(_ data: TokenizerData) throws -> any Tokenizer {
    try data.check()
    let isSentencePiece = data.kind.isSentencePiece
    var added: [AddedToken] = []
    for (id, type) in data.types.enumerated() where type == .control || type == .userDefined || (isSentencePiece && type == .unknown) {
      guard !data.tokens[id].isEmpty else { continue }
      let content = Normalizer.replace(SentencePieceRules.space, with: [0x20], in: Array(data.tokens[id].utf8))
      added.append(AddedToken(content: isSentencePiece ? content : Array(data.tokens[id].utf8), id: id))
    }
    if data.kind == .wordPiece {
      var data = data
      data.special["unknown"] = data.special["unknown"] ?? data.id(of: "[UNK]")
      return try WordPiece(data, added: added, rules: .stored(data))
    }
    if isSentencePiece {
      if data.kind == .unigram { return try Unigram(data, added: added, rules: .unigram(data)) }
      return try SentencePieceBPE(
        data, merges: data.merges.isEmpty ? nil : try data.pairs(), added: added, rules: .llama(addsPrefix: data.addsSpacePrefix ?? true))
    }
    let known = try KnownPreTokenizers.find(data.preTokenizer ?? "")
    let pairs = try data.pairs()
    return try ByteLevelBPE(
      data, merges: pairs, added: added, normalizers: known.normalizes ? [.nfc] : [],
      preTokenizer: PreTokenizer(steps: known.steps, spelledSteps: known.spelledSteps))
  }

  private static func inFile(_ path: String, _ body: () throws -> any Tokenizer) throws -> any Tokenizer {
    do {
      return try body()
    } catch let failure as Failure {
      throw failure.inFile(path)
    }
  }

  // MARK: Sources

  private static func fromJSON(_ path: String, beside folder: String?, _ preTokenizer: String?) throws -> any Tokenizer {
    let beside = try ConfigurationFiles(folder)
    let (root, named) = try beside.adding(to: JSON.load(path))
    var file = try TokenizerJSON(root, preTokenizerName: preTokenizer)
    file.data.listedCount = (file.data.tokens.lastIndex { !named.contains($0) } ?? -1) + 1
    if let folder, file.data.kind == .sentencePieceBPE, Files.exists(Files.join(folder, "tokenizer.model")) {
      // The model has the scores, which are missing in the JSON file.
      let model = try SentencePieceModel(Files.read(Files.join(folder, "tokenizer.model"), maximumBytes: maximumModelBytes))
      file.takeScores(from: model.data)
      try beside.retype(&file.data)
    }
    try beside.apply(to: &file.data, postProcessors: file.postProcessors)
    return try file.tokenizer()
  }

  private static func fromTekken(_ path: String, beside folder: String?, _ preTokenizer: String?) throws -> any Tokenizer {
    let beside = try ConfigurationFiles(folder)
    return try RankedFiles.tekken(JSON.load(path), preTokenizer: preTokenizer).tokenizer { data throws(Failure) in
      (data.addsBOS, data.addsEOS) = (true, false)
      try beside.apply(to: &data, postProcessors: [])
      for (name, text) in [("unknown", "<unk>"), ("bos", "<s>"), ("eos", "</s>"), ("padding", "<pad>")] where data.special[name] == nil {
        data.special[name] = data.id(of: text)
      }
    }
  }

  private static func fromModel(_ path: String, beside folder: String?, _ preTokenizer: String?) throws -> any Tokenizer {
    let bytes = try Files.read(path, maximumBytes: maximumModelBytes)
    let beside = try ConfigurationFiles(folder)
    if RankedFiles.isTiktoken(bytes) {
      let name = String(path.split(separator: "/").last ?? "")
      return try RankedFiles.tiktoken(bytes, beside, file: name, preTokenizer: preTokenizer).tokenizer { data throws(Failure) in
        try beside.apply(to: &data, postProcessors: [])
        if data.special["eos"] == nil { data.special["eos"] = data.id(of: "<|endoftext|>") }
      }
    }
    var model = try SentencePieceModel(bytes)
    if path.hasSuffix(xlmrFile) { model.renumberForXLMR() }
    var added = try beside.addTokens(to: &model.data)
    try beside.apply(to: &model.data, postProcessors: [])
    let rules = try model.rules()
    let known = Set(added.map { $0.id })
    let isXLMR = path.hasSuffix(xlmrFile)
    for (id, type) in model.data.types.enumerated() where isXLMR && type == .control && !known.contains(id) {
      added.append(AddedToken(content: Array(model.data.tokens[id].utf8), id: id, takesSpaceBefore: model.data.tokens[id] == "<mask>"))
    }
    for (id, type) in model.data.types.enumerated() where type == .userDefined && !known.contains(id) {
      var token = AddedToken(content: Array(model.data.tokens[id].utf8), id: id)
      token.isNormalized = true
      if !token.content.isEmpty { added.append(token) }
    }
    if model.data.kind == .unigram { return try Unigram(model.data, added: added, rules: rules) }
    return try SentencePieceBPE(model.data, merges: nil, added: added, rules: rules)
  }

  /// The name of a SentencePiece model as XLM-R has it, whose ids are not those of the model.
  private static let xlmrFile = "sentencepiece.bpe.model"

  /// GPT-2's original files: texts with ids, and a list of merges.
  private static func fromVocabulary(_ folder: String, _ preTokenizer: String?) throws -> any Tokenizer {
    let beside = try ConfigurationFiles(folder)
    let isQwen = beside.config?["tokenizer_class"]?.stringValue?.hasPrefix("Qwen2") == true
    let name = preTokenizer ?? (isQwen ? "qwen2" : "gpt-2")
    let bytes = try Files.read(Files.join(folder, "merges.txt"), maximumBytes: maximumModelBytes)
    let mark: [UInt8] = [0xef, 0xbb, 0xbf]
    guard let text = String(validating: bytes.starts(with: mark) ? bytes[mark.count...] : bytes[...], as: UTF8.self) else {
      throw Failure(.data, "tokenizer.merges", "is not valid UTF-8", file: Files.join(folder, "merges.txt"))
    }
    var merges: [JSON] = []
    for (number, line) in text.utf8.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }).enumerated() {
      let line = String(line) ?? ""
      if number > 0 || !line.hasPrefix("#version") { merges.append(.string(line)) }
    }
    let vocabulary = try JSON.load(Files.join(folder, "vocab.json"))
    let root = JSON.object(
      [
        JSON.Member("added_tokens", .array(try beside.addedTokens(vocabulary))),
        JSON.Member("pre_tokenizer", .object([JSON.Member("type", .string("ByteLevel"))])),
        JSON.Member(
          "model", .object([JSON.Member("vocab", vocabulary), JSON.Member("merges", .array(merges))])),
      ] + (isQwen ? [JSON.Member("normalizer", .object([JSON.Member("type", .string("NFC"))]))] : []))
    var file = try TokenizerJSON(root, preTokenizerName: name)
    try beside.apply(to: &file.data, postProcessors: [])
    return try file.tokenizer()
  }

  /// BERT's original file: a token on each line, whose number is its id.
  private static func fromWords(_ folder: String) throws -> any Tokenizer {
    let beside = try ConfigurationFiles(folder)
    let bytes = try Files.read(Files.join(folder, "vocab.txt"), maximumBytes: maximumModelBytes)
    var file = try TokenizerJSON(WordPieceFiles.json(words: bytes, beside))
    try beside.apply(to: &file.data, postProcessors: file.postProcessors)
    return try file.tokenizer()
  }

  private static let maximumModelBytes = 256 << 20
}

extension Tokenizer {
  /// Ids of `text` as the model expects them: with BOS before and EOS after it if the tokenizer's own rule says so.
  /// - Parameter addBOS: overrides the rule for BOS; nil: follows it.
  public func encodeForModel(_ text: String, addBOS: Bool? = nil) -> [Int] {
    var around = data.around
    let first = data.special["bos"] ?? (data.kind == .wordPiece ? data.special["cls"] : nil)
    if let addBOS, let first {
      if addBOS, !around.front.contains(first) { around.front.insert(first, at: 0) }
      if !addBOS { around.front.removeAll { $0 == first } }
    }
    return around.front + encode(text) + around.back
  }
}
