/// BERT's `vocab.txt`, as the tokenizer.json that transformers makes of it.
enum WordPieceFiles {
  /// - Throws: `Failure` `tokenizer.unsupported` for a class that cuts words in another way, `tokenizer.words` for bytes that are not text.
  static func json(words bytes: [UInt8], _ beside: ConfigurationFiles) throws(Failure) -> JSON {
    let config = beside.config
    if let name = config?["tokenizer_class"]?.stringValue, otherClasses.contains(where: { name.hasPrefix($0) }) {
      throw TokenizerJSON.unsupported("class", name)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.data, "tokenizer.words", "is not valid UTF-8")
    }
    var lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    let vocabulary = JSON.object(
      lines.enumerated().map { id, line in
        JSON.Member(String(decoding: line.last == 0x0d ? line.dropLast() : line, as: UTF8.self), .int(id))
      })
    func token(_ name: String, _ usual: String) -> String {
      (config?[name + "_token"]?.stringValue ?? config?[name + "_token"]?["content"]?.stringValue) ?? usual
    }
    let special = [("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("cls", "[CLS]"), ("mask", "[MASK]")].map(token)
    let added = try beside.addedTokens(vocabulary)
    let known = added.compactMap { $0["content"]?.stringValue }
    let others = special.filter { !known.contains($0) }.compactMap { text in
      vocabulary[text].map { JSON.object([.init("id", $0), .init("content", .string(text)), .init("special", .bool(true))]) }
    }
    func flag(_ key: String) -> JSON { config?[key] ?? .null }
    return .object([
      .init("added_tokens", .array(added + others)),
      .init(
        "normalizer",
        .object([
          .init("type", .string("BertNormalizer")), .init("clean_text", .bool(true)),
          .init("handle_chinese_chars", .bool(flag("tokenize_chinese_chars").boolValue ?? true)),
          .init("strip_accents", flag("strip_accents")), .init("lowercase", .bool(flag("do_lower_case").boolValue ?? true)),
        ])),
      .init("pre_tokenizer", .object([.init("type", .string("BertPreTokenizer"))])),
      .init("post_processor", template(first: token("cls", "[CLS]"), last: token("sep", "[SEP]"), vocabulary)),
      .init(
        "model",
        .object([.init("type", .string("WordPiece")), .init("unk_token", .string(token("unk", "[UNK]"))), .init("vocab", vocabulary)])),
    ])
  }

  /// Classes with a `vocab.txt` that is not WordPiece, or whose words need a dictionary.
  private static let otherClasses = ["BertJapanese", "Esm", "CpmAnt", "BertGeneration", "Phobert", "Bertweet", "BioGpt"]

  private static func template(first: String, last: String, _ vocabulary: JSON) -> JSON {
    func part(_ kind: String, _ id: String) -> JSON { .object([.init(kind, .object([.init("id", .string(id))]))]) }
    func special(_ text: String) -> JSON.Member? {
      vocabulary[text].map { .init(text, .object([.init("id", .string(text)), .init("ids", .array([$0]))])) }
    }
    let one = [part("SpecialToken", first), part("Sequence", "A"), part("SpecialToken", last)]
    return .object([
      .init("type", .string("TemplateProcessing")), .init("single", .array(one)),
      .init("pair", .array(one + [part("Sequence", "B"), part("SpecialToken", last)])),
      .init("special_tokens", .object([special(first), special(last)].compactMap { $0 })),
    ])
  }
}

extension WordPiece.Rules {
  /// The rules that a GGUF file stores; what it leaves out is as in llama.cpp.
  static func stored(_ data: TokenizerData) -> WordPiece.Rules {
    let lowercases = data.lowercases ?? true
    let normalizers = Normalizer.bert(stripsAccents: data.stripsAccents ?? lowercases, lowercases: lowercases)
    return WordPiece.Rules(normalizers: normalizers, cleansUp: true)
  }
}
