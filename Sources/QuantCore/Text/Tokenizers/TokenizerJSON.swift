/// A `tokenizer.json`: its sections are steps that run one after another (normalizer, pre-tokenizer, model,
/// post-processor, decoder). Unknown steps are refused: skipping one would give other tokens.
struct TokenizerJSON {
  var data: TokenizerData
  /// Pairs by rank.
  private(set) var merges: [(String, String)] = []
  private(set) var added: [AddedToken] = []
  let root: JSON
  private let model: JSON
  private var normalizers: [Normalizer] = []
  private var preTokenizer = PreTokenizer(steps: [])
  private var metaspace: SentencePieceRules.Metaspace?

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
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = model[key]?.stringValue, !text.isEmpty { throw TokenizerJSON.unsupported("model's \(key)", text) }
    }
    let isByteLevel = try readPreTokenizer(root["pre_tokenizer"] ?? .null, named: preTokenizerName)
    data.kind = isByteLevel ? .byteLevelBPE : .sentencePieceBPE
    data.ignoreMerges = model["ignore_merges"]?.boolValue ?? false
    if isByteLevel {
      data.preTokenizer =
        preTokenizerName ?? KnownPreTokenizers.name(of: preTokenizer, ignoresMerges: data.ignoreMerges)
    }
    try readVocabulary(try texts(vocabulary))
    try readMerges()
    if data.kind == .sentencePieceBPE { finishSentencePiece() }
  }

  private mutating func readWordPiece(_ vocabulary: JSON) throws(Failure) {
    data.kind = .wordPiece
    _ = try readPreTokenizer(root["pre_tokenizer"] ?? .null, named: nil)
    try readVocabulary(try texts(vocabulary))
    if let text = model["unk_token"]?.stringValue, let id = data.id(of: text) { data.special["unknown"] = id }
  }

  static func unsupported(_ section: String, _ what: String) -> Failure {
    Failure(.unsupported, "tokenizer.unsupported", "the tokenizer's \(section) '\(what)' is not supported")
  }

  /// The tokenizer that the file describes.
  func tokenizer() throws(Failure) -> any Tokenizer {
    if data.kind == .wordPiece { return try WordPiece(data, added: added, rules: wordPieceRules) }
    if data.kind == .byteLevelBPE {
      return try ByteLevelBPE(data, merges: merges, added: added, normalizers: normalizers, preTokenizer: preTokenizer)
    }
    var rules = SentencePieceRules(normalizers: normalizers)
    rules.metaspace = metaspace
    rules.fusesUnknown = model["fuse_unk"]?.boolValue ?? false
    rules.stripsLeadingSpace = stripsLeadingSpace
    return try SentencePieceBPE(data, merges: merges, added: added, rules: rules)
  }

  private var wordPieceRules: WordPiece.Rules {
    var rules = WordPiece.Rules(normalizers: normalizers, steps: preTokenizer.steps)
    rules.continuation = Array((model["continuing_subword_prefix"]?.stringValue ?? "##").utf8)
    rules.maximumCharacters = model["max_input_chars_per_word"]?.intValue ?? 100
    rules.cleansUp = root["decoder"]?["type"]?.stringValue == "WordPiece" && root["decoder"]?["cleanup"]?.boolValue ?? true
    return rules
  }

  private static func type(_ section: JSON) -> String { section["type"]?.stringValue ?? "" }

  private mutating func readNormalizer(_ section: JSON) throws(Failure) {
    if section.isNull { return }
    switch TokenizerJSON.type(section) {
    case "Sequence": for part in section["normalizers"]?.arrayValue ?? [] { try readNormalizer(part) }
    case "NFC": normalizers.append(.nfc)
    case "NFD": normalizers.append(.nfd)
    case "Lowercase":
      normalizers.append(.lowercase)
      data.lowercases = true
    case "StripAccents":
      normalizers.append(.removeMarks(all: true))
      data.stripsAccents = true
    case "BertNormalizer":
      let lowercases = section["lowercase"]?.boolValue ?? true
      normalizers += Normalizer.bert(
        cleans: section["clean_text"]?.boolValue ?? true, spacesChinese: section["handle_chinese_chars"]?.boolValue ?? true,
        stripsAccents: section["strip_accents"]?.boolValue ?? lowercases, lowercases: lowercases)
      if let stated = section["lowercase"]?.boolValue { data.lowercases = stated }
      if let stated = section["strip_accents"]?.boolValue { data.stripsAccents = stated }
    case "Prepend": normalizers.append(.prepend(Array((section["prepend"]?.stringValue ?? "").utf8)))
    case "Replace":
      guard let old = section["pattern"]?["String"]?.stringValue, let new = section["content"]?.stringValue else {
        throw TokenizerJSON.unsupported("normalizer", "Replace with a regular expression")
      }
      normalizers.append(.replace(Array(old.utf8), Array(new.utf8)))
    case let other: throw TokenizerJSON.unsupported("normalizer", other)
    }
  }

  /// - Returns: whether the tokenizer is byte-level.
  private mutating func readPreTokenizer(_ section: JSON, named name: String?) throws(Failure) -> Bool {
    var isByteLevel = false
    let parts = TokenizerJSON.type(section) == "Sequence" ? section["pretokenizers"]?.arrayValue ?? [] : [section]
    for (position, part) in parts.enumerated() where !part.isNull {
      let type = TokenizerJSON.type(part)
      if type == "ByteLevel" {
        isByteLevel = true
        if part["add_prefix_space"]?.boolValue == true {
          // After a split it would add a space before every part.
          guard position == 0 else { throw TokenizerJSON.unsupported("pre-tokenizer", "ByteLevel with add_prefix_space") }
          preTokenizer.prependsSpace = true
        }
        if name == nil, part["use_regex"]?.boolValue ?? true { preTokenizer.steps.append(.gpt2) }
      } else if type == "Metaspace" {
        try readMetaspace(part)
      } else if name == nil {
        let steps = try TokenizerJSON.steps(part)
        if isByteLevel { preTokenizer.spelledSteps += steps } else { preTokenizer.steps += steps }
      }
    }
    if let name {
      let known = try KnownPreTokenizers.find(name)
      preTokenizer.steps = known.steps
      preTokenizer.spelledSteps = known.spelledSteps
    }
    return isByteLevel
  }

  private static func steps(_ part: JSON) throws(Failure) -> [SplitPattern] {
    switch type(part) {
    case "Split":
      guard part["behavior"]?.stringValue == "Isolated", part["invert"]?.boolValue != true,
        let pattern = part["pattern"]?["Regex"]?.stringValue
      else { throw unsupported("pre-tokenizer", "Split with behaviour \(part["behavior"]?.stringValue ?? "?")") }
      return [try KnownPreTokenizers.pattern(pattern)]
    case "BertPreTokenizer": return [.whiteSpace, .punctuation(runs: false)]
    case "WhitespaceSplit": return [.whiteSpace]
    case "Digits": return [.numbers(maximum: part["individual_digits"]?.boolValue == true ? 1 : .max)]
    case "Punctuation":
      let behavior = part["behavior"]?.stringValue ?? "Isolated"
      guard behavior == "Isolated" || behavior == "Contiguous" else {
        throw unsupported("pre-tokenizer", "Punctuation with behaviour \(behavior)")
      }
      return [.punctuation(runs: behavior == "Contiguous")]
    case let other: throw unsupported("pre-tokenizer", other)
    }
  }

  private mutating func readMetaspace(_ part: JSON) throws(Failure) {
    let replacement = part["replacement"]?.stringValue ?? "\u{2581}"
    guard replacement == "\u{2581}" else { throw TokenizerJSON.unsupported("Metaspace replacement", replacement) }
    let prefix: SentencePieceRules.Metaspace.Prefix =
      switch part["prepend_scheme"]?.stringValue {
      case "first": .first
      case "never": .never
      default: part["add_prefix_space"]?.boolValue == false ? .never : .always
      }
    metaspace = SentencePieceRules.Metaspace(prefix: prefix, splits: part["split"]?.boolValue ?? true)
  }

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
      guard let id = entry["id"]?.intValue, let text = entry["content"]?.stringValue, !text.isEmpty else {
        throw Failure(.data, "tokenizer.id", "an added token has no id or no content")
      }
      var token = AddedToken(content: Array(text.utf8), id: id)
      token.takesSpaceBefore = entry["lstrip"]?.boolValue ?? false
      token.takesSpaceAfter = entry["rstrip"]?.boolValue ?? false
      token.isSingleWord = entry["single_word"]?.boolValue ?? false
      token.isSpecial = entry["special"]?.boolValue ?? false
      token.isNormalized = entry["normalized"]?.boolValue ?? !token.isSpecial
      added.append(token)
    }
    try data.place(texts, added: added)
  }

  private mutating func readMerges() throws(Failure) {
    guard let entries = model["merges"]?.arrayValue else {
      throw Failure(.data, "tokenizer.merges", "the model has no 'merges'")
    }
    merges.reserveCapacity(entries.count)
    for (rank, entry) in entries.enumerated() {
      if case .array(let pair) = entry, pair.count == 2, let left = pair[0].stringValue, let right = pair[1].stringValue {
        merges.append((left, right))
      } else if let text = entry.stringValue, let pair = TokenizerData.pair(of: text) {
        merges.append(pair)
      } else {
        throw Failure(.data, "tokenizer.merge", "merge \(rank) is not two texts")
      }
    }
    if data.kind == .byteLevelBPE { data.merges = merges.map { TokenizerData.spelling(of: $0) } }
  }

  private mutating func finishSentencePiece() {
    if let name = model["unk_token"]?.stringValue, let id = data.id(of: name) {
      data.special["unknown"] = id
      data.types[id] = .unknown
    }
    data.markByteTokens()
    data.scores = data.scores(from: merges)
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
