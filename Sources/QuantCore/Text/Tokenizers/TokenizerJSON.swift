/// A `tokenizer.json`: its sections are steps that run one after another (normalizer, pre-tokenizer, model,
/// post-processor, decoder). Unknown steps are refused: skipping one would give other tokens.
struct TokenizerJSON {
  var data: TokenizerData
  /// Pairs by rank.
  private(set) var merges: [(String, String)] = []
  private(set) var added: [AddedToken] = []
  let root: JSON
  private let model: JSON
  var normalizers: [Normalizer] = []
  var preTokenizer = PreTokenizer(steps: [])
  /// Marks the last byte of a word.
  private var endOfWord = ""
  var metaspace: SentencePieceRules.Metaspace?

  /// - Parameter preTokenizerName: replaces the pre-tokenizer of the file.
  /// - Throws: `Failure` `tokenizer.…`.
  init(_ root: JSON, preTokenizerName: String? = nil) throws(Failure) {
    guard let model = root["model"], model.objectValue != nil, let vocabulary = model["vocab"] else {
      throw Failure(.data, "tokenizer.json", "there is no 'model' with a 'vocab'")
    }
    self.root = root
    self.model = model
    data = TokenizerData(kind: .byteLevelBPE, tokens: [])
    try readNormalizer(root["normalizer"] ?? .null)
    switch TokenizerJSON.modelType(model) {
    case "BPE": try readBPE(vocabulary, preTokenizerName)
    case "WordPiece": try readWordPiece(vocabulary)
    case "Unigram": try readUnigram(vocabulary)
    case let other: throw TokenizerJSON.unsupported("model", other)
    }
    data.template = template
  }

  /// Older files do not name the kind of their model.
  private static func modelType(_ model: JSON) -> String {
    if let type = model["type"]?.stringValue { return type }
    if model["vocab"]?.arrayValue != nil { return "Unigram" }
    return model["merges"] == nil && model["max_input_chars_per_word"] != nil ? "WordPiece" : "BPE"
  }

  private mutating func readBPE(_ vocabulary: JSON, _ preTokenizerName: String?) throws(Failure) {
    if let text = model["continuing_subword_prefix"]?.stringValue, !text.isEmpty {
      throw TokenizerJSON.unsupported("model's continuing_subword_prefix", text)
    }
    let isByteLevel = try readPreTokenizer(root["pre_tokenizer"] ?? .null, named: preTokenizerName)
    data.kind = isByteLevel ? .byteLevelBPE : .sentencePieceBPE
    endOfWord = model["end_of_word_suffix"]?.stringValue ?? ""
    if !endOfWord.isEmpty, !isByteLevel { throw TokenizerJSON.unsupported("model's end_of_word_suffix", endOfWord) }
    data.ignoreMerges = model["ignore_merges"]?.boolValue ?? false
    if isByteLevel {
      data.preTokenizer =
        preTokenizerName ?? (hasOwnRules ? nil : KnownPreTokenizers.name(of: preTokenizer, ignoresMerges: data.ignoreMerges))
    }
    let texts = try texts(vocabulary)
    data.ownCount = texts.count
    try readVocabulary(texts)
    try readMerges()
    if data.kind == .sentencePieceBPE { finishSentencePiece() }
  }

  /// Whether more is done to a text than a name can say: clients that go by the name leave it out. They leave out the normal form C too,
  /// which changes few texts, and whose models they name all the same.
  private var hasOwnRules: Bool { !endOfWord.isEmpty || normalizers.contains { $0 != .nfc } }

  private mutating func readWordPiece(_ vocabulary: JSON) throws(Failure) {
    data.kind = .wordPiece
    _ = try readPreTokenizer(root["pre_tokenizer"] ?? .null, named: nil)
    try readVocabulary(try texts(vocabulary))
    if let text = model["unk_token"]?.stringValue, let id = data.id(of: text) { data.special["unknown"] = id }
  }

  private mutating func readUnigram(_ vocabulary: JSON) throws(Failure) {
    data.kind = .unigram
    if try readPreTokenizer(root["pre_tokenizer"] ?? .null, named: nil) { throw TokenizerJSON.unsupported("pre-tokenizer", "ByteLevel") }
    var texts: [(id: Int, text: String)] = []
    var scores: [Float] = []
    guard let entries = vocabulary.arrayValue else {
      throw Failure(.data, "tokenizer.json", "the 'vocab' is not a list of texts and scores")
    }
    for entry in entries {
      guard let pair = entry.arrayValue, pair.count == 2, let text = pair[0].stringValue, let score = pair[1].doubleValue else {
        throw Failure(.data, "tokenizer.json", "entry \(texts.count) of the 'vocab' is not a text and a score")
      }
      texts.append((texts.count, text))
      scores.append(Float(score))
    }
    try readVocabulary(texts)
    // Added tokens and gaps have the scores that llama.cpp's converter gives them.
    data.scores = data.tokens.indices.map { scores.indices.contains($0) ? scores[$0] : data.types[$0] == .unused ? -10000 : -1000 }
    if let id = model["unk_id"]?.intValue { data.special["unknown"] = id }
    if let id = data.special["unknown"], data.types.indices.contains(id) { data.types[id] = .unknown }
    if model["byte_fallback"]?.boolValue ?? false { data.markByteTokens() }
    finishSpaces()
    // These two give every word one space, however many were before it.
    let joinsSpaces = normalizers.contains { if case .replaceMatches = $0 { true } else { false } }
    data.squeezesSpaces = preTokenizer.steps == [.whiteSpace] || joinsSpaces
    data.addsSpacePrefix = data.addsSpacePrefix ?? true
  }

  static func unsupported(_ section: String, _ what: String) -> Failure {
    Failure(.unsupported, "tokenizer.unsupported", "the tokenizer's \(section) '\(what)' is not supported")
  }

  /// The tokenizer that the file describes.
  func tokenizer() throws(Failure) -> any Tokenizer {
    if data.kind == .wordPiece { return try WordPiece(data, added: added, rules: wordPieceRules) }
    if data.kind == .byteLevelBPE {
      return try ByteLevelBPE(
        data, merges: merges, added: added, normalizers: normalizers, preTokenizer: preTokenizer, endOfWord: endOfWord)
    }
    var rules = SentencePieceRules(normalizers: normalizers, steps: preTokenizer.steps, metaspace: metaspace)
    rules.fusesUnknown = model["fuse_unk"]?.boolValue ?? false
    rules.stripsLeadingSpace = stripsLeadingSpace
    if data.kind == .unigram { return try Unigram(data, added: added, rules: rules) }
    return try SentencePieceBPE(data, merges: merges, added: added, rules: rules)
  }

  private var wordPieceRules: WordPiece.Rules {
    var rules = WordPiece.Rules(normalizers: normalizers, steps: preTokenizer.steps)
    rules.continuation = Array((model["continuing_subword_prefix"]?.stringValue ?? "##").utf8)
    rules.maximumCharacters = model["max_input_chars_per_word"]?.intValue ?? 100
    rules.cleansUp = root["decoder"]?["type"]?.stringValue == "WordPiece" && root["decoder"]?["cleanup"]?.boolValue ?? true
    return rules
  }

  static func type(_ section: JSON) -> String { section["type"]?.stringValue ?? "" }

  /// The texts of a vocabulary that is an object of ids.
  private func texts(_ vocabulary: JSON) throws(Failure) -> [(id: Int, text: String)] {
    guard let members = vocabulary.objectValue else {
      throw Failure(.data, "tokenizer.json", "the 'vocab' is not an object of texts and ids")
    }
    var texts: [(id: Int, text: String)] = []
    texts.reserveCapacity(members.count)
    for member in members {
      guard let id = member.value.intValue else {
        throw Failure(.data, "tokenizer.id", "the token \(member.key.debugDescription) has an id that is not a whole number")
      }
      texts.append((id, member.key))
    }
    return texts
  }

  private mutating func readVocabulary(_ texts: [(id: Int, text: String)]) throws(Failure) {
    for entry in root["added_tokens"]?.arrayValue ?? [] {
      guard let id = entry["id"]?.intValue, (0...Int(UInt32.max)).contains(id), let text = entry["content"]?.stringValue else {
        throw Failure(.data, "tokenizer.id", "an added token has no content, or no id from 0 to \(UInt32.max)")
      }
      // The tokenizers library skips it.
      if text.isEmpty { continue }
      var token = AddedToken(content: Array(text.utf8), id: id)
      token.takesSpaceBefore = entry["lstrip"]?.boolValue ?? false
      token.takesSpaceAfter = entry["rstrip"]?.boolValue ?? false
      token.isSingleWord = entry["single_word"]?.boolValue ?? false
      token.isSpecial = entry["special"]?.boolValue ?? false
      token.isNormalized = entry["normalized"]?.boolValue ?? !token.isSpecial
      added.append(token)
    }
    takeKnownIDs(texts)
    try data.place(texts, added: added)
  }

  /// Gives added tokens their ids as the tokenizers library does: that of the token with the same text, or the next free one in the order
  /// of the file, whatever id is stated.
  private mutating func takeKnownIDs(_ texts: [(id: Int, text: String)]) {
    let contents = Set(added.map(\.content))
    var ids: [[UInt8]: Int] = [:]
    for (id, text) in texts where contents.contains(Array(text.utf8)) { ids[Array(text.utf8)] = id }
    var highest: Int?
    for index in added.indices {
      let content = added[index].content
      let next = highest.map { max($0 + 1, texts.count) } ?? texts.count
      added[index].id = ids[content] ?? next
      ids[content] = added[index].id
      // Ids that are out of range are refused later.
      highest = max(highest ?? 0, min(added[index].id, Int(Int32.max)))
    }
  }

  /// Whether a vocabulary has a token of this text.
  static func holds(_ text: String, _ vocabulary: JSON?) -> Bool {
    let text = Array(text.utf8)
    if let members = vocabulary?.objectValue { return members.contains { $0.key.utf8.elementsEqual(text) } }
    return (vocabulary?.arrayValue ?? []).contains { $0.arrayValue?.first?.stringValue?.utf8.elementsEqual(text) ?? false }
  }

  private mutating func readMerges() throws(Failure) {
    guard let entries = model["merges"]?.arrayValue else {
      throw Failure(.data, "tokenizer.merges", "the model has no 'merges'")
    }
    merges.reserveCapacity(entries.count)
    for (rank, entry) in entries.enumerated() {
      // A line of the files that merges once were stored in.
      if entry.stringValue?.hasPrefix("#version") == true { continue }
      if case .array(let pair) = entry, pair.count == 2, let left = pair[0].stringValue, let right = pair[1].stringValue {
        merges.append((left, right))
      } else if let text = entry.stringValue, let pair = TokenizerData.pair(of: text) {
        merges.append(pair)
      } else {
        throw Failure(.data, "tokenizer.merge", "merge \(rank) is not two texts")
      }
    }
    data.merges = merges.map { TokenizerData.spelling(of: $0) }
  }

  private mutating func finishSentencePiece() {
    if let name = model["unk_token"]?.stringValue, let id = data.id(of: name) {
      data.special["unknown"] = id
      data.types[id] = .unknown
    }
    data.markByteTokens()
    data.scores = data.scores(from: merges)
    finishSpaces()
  }

  private mutating func finishSpaces() {
    let prepends = normalizers.contains { if case .prepend = $0 { true } else { false } }
    if !prepends, metaspace.map({ $0.prefix == .never }) ?? true { data.addsSpacePrefix = false }
  }

  /// Whether the decoder drops a space at the start.
  private var stripsLeadingSpace: Bool {
    let decoder = root["decoder"] ?? .null
    let parts = TokenizerJSON.type(decoder) == "Sequence" ? decoder["decoders"]?.arrayValue ?? [] : [decoder]
    return parts.contains { part in
      switch TokenizerJSON.type(part) {
      case "Strip": part["content"]?.stringValue == " " && (part["start"]?.intValue ?? 0) > 0
      case "Metaspace": part["prepend_scheme"]?.stringValue != "never" && part["add_prefix_space"]?.boolValue != false
      default: false
      }
    }
  }

  /// The sections that say which special tokens are added to a text.
  var postProcessors: [JSON] {
    guard let section = root["post_processor"], !section.isNull else { return [] }
    return section["processors"]?.arrayValue ?? [section]
  }
}

extension TokenizerJSON {
  /// The ids that the post-processor puts around a text, if they are more than BOS and EOS.
  private var template: TokenizerData.Template? {
    for processor in postProcessors {
      guard processor["type"]?.stringValue == "TemplateProcessing" else { continue }
      var result = TokenizerData.Template(front: [], back: [])
      var isFront = true
      for part in processor["single"]?.arrayValue ?? [] {
        if part["Sequence"] != nil { isFront = false }
        guard let name = part["SpecialToken"]?["id"]?.stringValue else { continue }
        let ids = (processor["special_tokens"]?[name]?["ids"]?.arrayValue ?? []).compactMap { $0.intValue }
        if isFront { result.front += ids } else { result.back += ids }
      }
      return result.front.count > 1 || result.back.count > 1 ? result : nil
    }
    return nil
  }

  /// Takes scores and types from the `tokenizer.model` beside the file, as GGUF files store them. Tokens that only this file
  /// has keep their ids and types, and get the score -1000.
  mutating func takeScores(from model: TokenizerData) {
    for (id, token) in model.tokens.enumerated() where data.tokens.indices.contains(id) {
      guard data.tokens[id].utf8.elementsEqual(token.utf8) else { continue }
      data.scores[id] = model.scores[id]
      data.types[id] = model.types[id]
    }
    for id in data.tokens.indices.dropFirst(model.tokens.count) { data.scores[id] = -1000 }
  }
}
