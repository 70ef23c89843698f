/// The files beside a tokenizer that say which tokens are special.
struct ConfigurationFiles {
  /// `tokenizer_config.json`
  let config: JSON?
  private let map: JSON?
  private let model: JSON?
  private let generation: JSON?
  /// `added_tokens.json`: ids by text.
  private let added: JSON?
  private let template: String?

  /// - Parameter folder: nil for a tokenizer file without a folder.
  init(_ folder: String?) throws(Failure) {
    func load(_ name: String) throws(Failure) -> JSON? {
      guard let folder, Files.exists(Files.join(folder, name)) else { return nil }
      return try JSON.load(Files.join(folder, name))
    }
    config = try load("tokenizer_config.json")
    map = try load("special_tokens_map.json")
    model = try load("config.json")
    generation = try load("generation_config.json")
    added = try load("added_tokens.json")
    if let text = config?["chat_template"]?.stringValue {
      template = text
    } else if let named = config?["chat_template"]?.arrayValue {
      template = named.first { $0["name"]?.stringValue == "default" }?["template"]?.stringValue
    } else if let folder, Files.exists(Files.join(folder, "chat_template.jinja")) {
      let path = Files.join(folder, "chat_template.jinja")
      guard let text = String(validating: try Files.read(path, maximumBytes: 16 << 20), as: UTF8.self) else {
        throw Failure(.data, "tokenizer.chat-template", "is not valid UTF-8", file: path)
      }
      template = text
    } else {
      template = try load("chat_template.json")?["chat_template"]?.stringValue
    }
  }

  /// The model's type according to `config.json`.
  var modelType: String? { model?["model_type"]?.stringValue }

  /// Texts of the tokens that `tokenizer_config.json` lists, by id.
  func decoderTexts() throws(Failure) -> [(id: Int, text: String)] {
    try decoderTokens().map { ($0.id, String(decoding: $0.content, as: UTF8.self)) }
  }

  private func special(_ postProcessors: [JSON]) -> SpecialTokens {
    SpecialTokens(config: config, map: map, model: model, generation: generation, postProcessors: postProcessors)
  }

  /// Sets the special ids, the rules for BOS and EOS, and the chat template.
  func apply(to data: inout TokenizerData, postProcessors: [JSON]) throws(Failure) {
    var special = special(postProcessors)
    special.apply(to: &data)
    data.chatTemplate = template
    if let adds = config?["add_prefix_space"]?.boolValue { data.addsSpacePrefix = adds }
  }

  /// Adds the tokens that configuration files add to a SentencePiece model.
  /// - Returns: the tokens that are matched in text as a whole.
  func addTokens(to data: inout TokenizerData) throws(Failure) -> [AddedToken] {
    var entries: [(token: AddedToken, type: TokenizerData.TokenType)] = []
    for member in added?.objectValue ?? [] {
      guard let id = member.value.intValue else { throw ConfigurationFiles.badID(member.key) }
      entries.append((AddedToken(content: Array(member.key.utf8), id: id), .userDefined))
    }
    for token in try decoderTokens() {
      let looksSpecial = TokenizerData.looksSpecial(String(decoding: token.content, as: UTF8.self))
      entries.append((token, token.isSpecial || looksSpecial ? .control : .userDefined))
    }
    let limit = 2 * (data.tokens.count + entries.count)
    for (token, _) in entries where token.id < 0 || token.id >= limit { throw ConfigurationFiles.badID(String(token.id)) }
    let rows = (entries.map { $0.token.id }.max() ?? -1) + 1
    keepKnownIDs(&entries, data)
    data = data.padded(to: rows)
    for (token, type) in entries where !token.content.isEmpty {
      if data.types[token.id] == .byte { continue }
      data.tokens[token.id] = String(decoding: token.content, as: UTF8.self)
      data.types[token.id] = type
      data.scores[token.id] = -1000
    }
    var found = Dictionary(entries.map { ($0.token.id, $0.token) }) { _, last in last }
    for text in special([]).allTexts {
      if let id = data.id(of: text), found[id] == nil { found[id] = AddedToken(content: Array(text.utf8), id: id) }
    }
    return found.values.sorted { $0.id < $1.id }
  }

  /// A text that is a token already keeps its id, as in transformers, and an ordinary piece stays one: its other id means nothing.
  private func keepKnownIDs(_ entries: inout [(token: AddedToken, type: TokenizerData.TokenType)], _ data: TokenizerData) {
    let contents = Set(entries.map(\.token.content))
    var known: [[UInt8]: Int] = [:]
    for (id, text) in data.tokens.enumerated() where contents.contains(Array(text.utf8)) {
      known[Array(text.utf8)] = known[Array(text.utf8)] ?? id
    }
    entries = entries.compactMap { token, type in
      guard let id = known[token.content], id != token.id else { return (token, type) }
      guard type == .control || data.types[id] != .normal else { return nil }
      var token = token
      token.id = id
      return (token, type)
    }
  }

  /// Gives the tokens that the configuration adds the types and scores that llama.cpp's converter gives them.
  func retype(_ data: inout TokenizerData) throws(Failure) {
    for token in try decoderTokens() where data.tokens.indices.contains(token.id) {
      let looksSpecial = TokenizerData.looksSpecial(String(decoding: token.content, as: UTF8.self))
      data.types[token.id] = token.isSpecial || looksSpecial ? .control : .userDefined
      if data.scores.indices.contains(token.id) { data.scores[token.id] = -1000 }
    }
  }

  /// The added tokens of a folder without tokenizer.json, in the form that tokenizer.json has.
  func addedTokens(_ vocabulary: JSON) throws(Failure) -> [JSON] {
    var entries: [Int: (text: String, isSpecial: Bool)] = [:]
    for member in added?.objectValue ?? [] {
      guard let id = member.value.intValue else { throw ConfigurationFiles.badID(member.key) }
      entries[id] = (member.key, false)
    }
    for token in try decoderTokens() {
      entries[token.id] = (String(decoding: token.content, as: UTF8.self), token.isSpecial)
    }
    for text in special([]).allTexts {
      let known = entries.first { $0.value.text == text }?.key
      if let id = known ?? vocabulary[text]?.intValue { entries[id] = (text, true) }
    }
    return entries.sorted { $0.key < $1.key }.map { id, entry in
      .object([
        JSON.Member("id", .int(id)), JSON.Member("content", .string(entry.text)), JSON.Member("special", .bool(entry.isSpecial)),
      ])
    }
  }

  /// A tokenizer.json with the tokens that only the files beside it add: those that they list with ids, then special tokens that they only
  /// name. They get the ids after all others, as in transformers, whatever ids are stated.
  /// - Returns: and the texts of the tokens that are only named.
  func adding(to root: JSON) throws(Failure) -> (root: JSON, named: Set<String>) {
    let listed = root["added_tokens"]?.arrayValue ?? []
    var known = Set(listed.compactMap { $0["content"]?.stringValue.map { Array($0.utf8) } })
    var further = try listedTokens().filter { !$0.content.isEmpty && known.insert($0.content).inserted }
    let named = special([]).allTexts + (special([]).furtherTexts)
    let unlisted = named.filter { !$0.isEmpty && !known.contains(Array($0.utf8)) && !TokenizerJSON.holds($0, root["model"]?["vocab"]) }
    for text in unlisted where known.insert(Array(text.utf8)).inserted {
      var token = AddedToken(content: Array(text.utf8), id: 0)
      token.isSpecial = true
      further.append(token)
    }
    guard !further.isEmpty, let members = root.objectValue else { return (root, []) }
    var ids: [[UInt8]: Int] = [:]
    // Ids that are out of range are refused when the file is read.
    let range = 0..<Int(Int32.max)
    var next = (listed.compactMap { $0["id"]?.intValue }.filter { range.contains($0) }.max() ?? -1) + 1
    let vocabulary = root["model"]?["vocab"]
    for member in vocabulary?.objectValue ?? [] {
      guard let id = member.value.intValue, range.contains(id) else { continue }
      next = max(next, id + 1)
      ids[Array(member.key.utf8)] = id
    }
    for (id, entry) in (vocabulary?.arrayValue ?? []).enumerated() {
      next = max(next, id + 1)
      if let text = entry.arrayValue?.first?.stringValue { ids[Array(text.utf8)] = id }
    }
    let entries = further.map { token in
      let id = ids[token.content] ?? next
      if id == next { next += 1 }
      return JSON.object([
        .init("id", .int(id)), .init("content", .string(String(decoding: token.content, as: UTF8.self))),
        .init("lstrip", .bool(token.takesSpaceBefore)), .init("rstrip", .bool(token.takesSpaceAfter)),
        .init("single_word", .bool(token.isSingleWord)), .init("special", .bool(token.isSpecial)),
      ])
    }
    let others = members.filter { $0.key != "added_tokens" }
    return (.object(others + [.init("added_tokens", .array(listed + entries))]), Set(unlisted))
  }

  /// The tokens that the files list with ids, in their order. transformers reads `added_tokens.json` only where tokenizer_config.json does
  /// not list them.
  private func listedTokens() throws(Failure) -> [AddedToken] {
    var tokens = try decoderTokens()
    if config?["added_tokens_decoder"] == nil {
      for member in added?.objectValue ?? [] {
        guard let id = member.value.intValue else { throw ConfigurationFiles.badID(member.key) }
        tokens.append(AddedToken(content: Array(member.key.utf8), id: id))
      }
    }
    return tokens.sorted { $0.id < $1.id }
  }

  /// `added_tokens_decoder` of tokenizer_config.json.
  private func decoderTokens() throws(Failure) -> [AddedToken] {
    var tokens: [AddedToken] = []
    for member in config?["added_tokens_decoder"]?.objectValue ?? [] {
      guard let id = Int(member.key), let text = member.value["content"]?.stringValue else {
        throw ConfigurationFiles.badID(member.key)
      }
      var token = AddedToken(content: Array(text.utf8), id: id)
      token.takesSpaceBefore = member.value["lstrip"]?.boolValue ?? false
      token.takesSpaceAfter = member.value["rstrip"]?.boolValue ?? false
      token.isSingleWord = member.value["single_word"]?.boolValue ?? false
      token.isSpecial = member.value["special"]?.boolValue ?? false
      tokens.append(token)
    }
    return tokens
  }

  private static func badID(_ what: String) -> Failure {
    Failure(.data, "tokenizer.id", "the added token \(what.debugDescription) has no usable id")
  }
}
