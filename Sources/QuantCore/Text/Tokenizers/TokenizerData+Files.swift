/// Tokenizers as the files of a Hugging Face folder.
extension TokenizerData {
  /// `tokenizer.json`, from which the tokenizers library makes the same ids: the reverse of `TokenizerJSON`.
  ///
  /// Every token is in the vocabulary, so that none can get another id. Scores become merges: any two tokens whose joined
  /// text is a token, ordered by its score.
  /// - Throws: `Failure` `tokenizer.pre` if the pre-tokenizer is not known.
  public func tokenizerJSON() throws(Failure) -> JSON {
    switch kind {
    case .wordPiece:
      return file(normalizer: wordPieceNormalizer, preTokenizer: TokenizerData.step("BertPreTokenizer"), model: wordPieceModel)
    case .unigram: return file(normalizer: unigramNormalizer, preTokenizer: unigramPreTokenizer, model: unigramModel)
    case .byteLevelBPE, .sentencePieceBPE: break
    }
    let isByteLevel = kind == .byteLevelBPE
    let known = isByteLevel ? try KnownPreTokenizers.find(preTokenizer ?? "") : nil
    let pairs = merges.isEmpty ? TokenizerData.spellings(of: try mergesByScore()) : merges.map { JSON.string($0) }
    let model: [JSON.Member] = [
      .init("type", .string("BPE")), .init("dropout", .null), .init("unk_token", special["unknown"].map { .string(text(of: $0)) } ?? .null),
      .init("continuing_subword_prefix", .null), .init("end_of_word_suffix", .null), .init("fuse_unk", .bool(!isByteLevel)),
      .init("byte_fallback", .bool(types.contains(.byte))), .init("ignore_merges", .bool(ignoreMerges)),
      .init("vocab", .object(vocabulary)), .init("merges", .array(pairs)),
    ]
    return file(normalizer: normalizer(known), preTokenizer: known.map { preTokenizer($0) } ?? .null, model: model)
  }

  private func file(normalizer: JSON, preTokenizer: JSON, model: [JSON.Member]) -> JSON {
    let added = addedIDs.map { id in JSON.object([JSON.Member("id", .int(id))] + addedToken(id)) }
    return .object([
      .init("version", .string("1.0")), .init("truncation", .null), .init("padding", .null), .init("added_tokens", .array(added)),
      .init("normalizer", normalizer), .init("pre_tokenizer", preTokenizer), .init("post_processor", postProcessor),
      .init("decoder", decoder), .init("model", .object(model)),
    ])
  }

  /// `tokenizer_config.json`.
  /// - Parameter contextLength: the context length for which the model was trained, in tokens; 0 if unknown.
  public func tokenizerConfiguration(contextLength: Int) -> JSON {
    var members: [JSON.Member] = [
      .init("add_bos_token", .bool(startsWithBOS)), .init("add_eos_token", .bool(endsWithEOS)),
      .init("added_tokens_decoder", .object(addedIDs.map { .init(String($0), .object(addedToken($0))) })),
    ]
    if let addsSpacePrefix { members.append(.init("add_prefix_space", .bool(addsSpacePrefix))) }
    // If an ordinary token were named here, transformers would match it in text as a special one.
    for (name, key) in SpecialTokens.names {
      guard let id = special[key], types.indices.contains(id), types[id] != .normal else { continue }
      members.append(.init(name + "_token", .string(text(of: id))))
    }
    if let chatTemplate { members.append(.init("chat_template", .string(chatTemplate))) }
    members.append(.init("clean_up_tokenization_spaces", .bool(false)))
    if contextLength > 0 { members.append(.init("model_max_length", .int(contextLength))) }
    return .object(members + [.init("tokenizer_class", .string("PreTrainedTokenizerFast"))])
  }

  /// Ids for `config.json` and `generation_config.json`; generation stops at every token that ends a text or a turn.
  public func specialIDs(forGeneration: Bool) -> [JSON.Member] {
    var members: [JSON.Member] = []
    if let id = special["bos"] { members.append(.init("bos_token_id", .int(id))) }
    var ends = ["eos", "eot", "eom"].compactMap { special[$0] } + self.ends
    ends = ends.enumerated().filter { !ends[..<$0.offset].contains($0.element) }.map { $0.element }
    if let end = special["eos"] ?? (forGeneration ? ends.first : nil) {
      members.append(.init("eos_token_id", forGeneration && ends.count > 1 ? .array(ends.map { .int($0) }) : .int(end)))
    }
    if let id = special["padding"] { members.append(.init("pad_token_id", .int(id))) }
    return members
  }

  // MARK: Tokens

  /// Tokens that are matched in text as a whole.
  private var addedIDs: [Int] {
    types.indices.filter { id in
      !tokens[id].isEmpty && (types[id] == .control || types[id] == .userDefined || (types[id] == .unknown && kind.isSentencePiece))
    }
  }

  /// A token's text in these files: as it appears in text, if it is matched as a whole.
  func text(of id: Int) -> String {
    guard kind.isSentencePiece, types.indices.contains(id), types[id] == .control || types[id] == .userDefined else {
      return tokens[id]
    }
    return String(decoding: Normalizer.replace(SentencePieceRules.space, with: [0x20], in: Array(tokens[id].utf8)), as: UTF8.self)
  }

  private func addedToken(_ id: Int) -> [JSON.Member] {
    [
      .init("content", .string(text(of: id))), .init("single_word", .bool(false)), .init("lstrip", .bool(false)),
      .init("rstrip", .bool(false)), .init("normalized", .bool(false)), .init("special", .bool(types[id] != .userDefined)),
    ]
  }

  var vocabulary: [JSON.Member] {
    tokens.indices.filter { !isPlaceholder($0) }.map { .init(text(of: $0), .int($0)) }
  }

  /// Pairs of tokens by the score of the merged token, the highest first; for equal scores, a longer first part comes first. Without scores
  /// nothing merges.
  private func mergesByScore() throws(Failure) -> [(String, String)] {
    guard scores.count == tokens.count else { return [] }
    let index = try TokenIndex(tokens)
    func merges(_ id: Int) -> Bool { types.indices.contains(id) ? types[id] == .normal : true }
    var found: [(score: Float, length: Int, id: Int, left: String, right: String)] = []
    for id in tokens.indices where merges(id) {
      guard let token = index.bytes(of: id) else { continue }
      for cut in token.indices.dropFirst() where token[cut] & 0xc0 != 0x80 {
        guard let left = index.id(of: token[..<cut]), let right = index.id(of: token[cut...]), merges(left), merges(right) else { continue }
        found.append((scores[id], cut - token.startIndex, id, tokens[left], tokens[right]))
      }
    }
    found.sort { ($1.score, $1.length, $0.id) < ($0.score, $0.length, $1.id) }
    return found.map { ($0.left, $0.right) }
  }

  /// Merges as `left right`, or all as arrays of two if a text contains a space.
  private static func spellings(of pairs: [(String, String)]) -> [JSON] {
    let isPlain = !pairs.contains { $0.0.utf8.contains(0x20) || $0.1.utf8.contains(0x20) }
    return pairs.map { isPlain ? .string($0.0 + " " + $0.1) : .array([.string($0.0), .string($0.1)]) }
  }

  // MARK: Steps

  private func normalizer(_ known: KnownPreTokenizers.Named?) -> JSON {
    if let known { return known.normalizes ? TokenizerData.step("NFC") : .null }
    let escape = TokenizerData.replace(" ", "\u{2581}")
    let prefix = TokenizerData.step("Prepend", [.init("prepend", .string("\u{2581}"))])
    return TokenizerData.step("Sequence", [.init("normalizers", .array(addsSpacePrefix ?? true ? [prefix, escape] : [escape]))])
  }

  private func preTokenizer(_ known: KnownPreTokenizers.Named) -> JSON {
    let parts = KnownPreTokenizers.sections(of: known.steps) + [byteLevel] + KnownPreTokenizers.sections(of: known.spelledSteps)
    return TokenizerData.step("Sequence", [.init("pretokenizers", .array(parts))])
  }

  private var byteLevel: JSON {
    TokenizerData.step(
      "ByteLevel", [.init("add_prefix_space", .bool(false)), .init("trim_offsets", .bool(true)), .init("use_regex", .bool(false))])
  }

  private var decoder: JSON {
    switch kind {
    case .byteLevelBPE: return byteLevel
    case .wordPiece: return wordPieceDecoder
    case .unigram: return unigramMetaspace
    case .sentencePieceBPE: break
    }
    let strip = TokenizerData.step("Strip", [.init("content", .string(" ")), .init("start", .int(1)), .init("stop", .int(0))])
    let parts = [TokenizerData.replace("\u{2581}", " "), TokenizerData.step("ByteFallback"), TokenizerData.step("Fuse")]
    return TokenizerData.step("Sequence", [.init("decoders", .array(addsSpacePrefix ?? true ? parts + [strip] : parts))])
  }

  /// The special tokens added to a text, or to a pair of texts.
  private var postProcessor: JSON {
    let front = around.front.first, back = around.back.first
    guard front != nil || back != nil else { return kind == .byteLevelBPE ? byteLevel : .null }
    func token(_ id: Int?, _ text: Int) -> [JSON] {
      id.map { [part("SpecialToken", self.text(of: $0), text)] } ?? []
    }
    func part(_ kind: String, _ id: String, _ text: Int) -> JSON {
      .object([.init(kind, .object([.init("id", .string(id)), .init("type_id", .int(text))]))])
    }
    let first = token(front, 0) + [part("Sequence", "A", 0)] + token(back, 0)
    let second = token(front, 1) + [part("Sequence", "B", 1)] + token(back, 1)
    let used = Set([front, back].compactMap { $0 }).sorted()
    return TokenizerData.step(
      "TemplateProcessing",
      [
        .init("single", .array(first)), .init("pair", .array(first + second)),
        .init(
          "special_tokens",
          .object(
            used.map { id in
              let text = JSON.string(text(of: id))
              return .init(
                text.stringValue ?? "", .object([.init("id", text), .init("ids", .array([.int(id)])), .init("tokens", .array([text]))]))
            })),
      ])
  }

  static func replace(_ old: String, _ new: String) -> JSON {
    step("Replace", [.init("pattern", .object([.init("String", .string(old))])), .init("content", .string(new))])
  }

  static func step(_ type: String, _ members: [JSON.Member] = []) -> JSON {
    .object([.init("type", .string(type))] + members)
  }
}
