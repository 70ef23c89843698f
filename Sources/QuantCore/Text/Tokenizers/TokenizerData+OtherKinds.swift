/// The sections of `tokenizer.json` for WordPiece and unigram models.
extension TokenizerData {
  // MARK: WordPiece

  var wordPieceModel: [JSON.Member] {
    [
      .init("type", .string("WordPiece")), .init("unk_token", .string(special["unknown"].map { text(of: $0) } ?? "[UNK]")),
      .init("continuing_subword_prefix", .string("##")), .init("max_input_chars_per_word", .int(100)), .init("vocab", .object(vocabulary)),
    ]
  }

  var wordPieceNormalizer: JSON {
    TokenizerData.step(
      "BertNormalizer",
      [
        .init("clean_text", .bool(true)), .init("handle_chinese_chars", .bool(true)),
        .init("strip_accents", stripsAccents.map { .bool($0) } ?? .null), .init("lowercase", .bool(lowercases ?? true)),
      ])
  }

  var wordPieceDecoder: JSON {
    TokenizerData.step("WordPiece", [.init("prefix", .string("##")), .init("cleanup", .bool(true))])
  }

  // MARK: Unigram

  var unigramModel: [JSON.Member] {
    let entries = tokens.indices.map { id in
      JSON.array([.string(text(of: id)), .number(scores.indices.contains(id) ? scores[id].description : "0")])
    }
    return [
      .init("type", .string("Unigram")), .init("unk_id", special["unknown"].map { .int($0) } ?? .null),
      .init("byte_fallback", .bool(types.contains(.byte))), .init("vocab", .array(entries)),
    ]
  }

  var unigramNormalizer: JSON {
    var parts: [JSON] = []
    if !characterMap.isEmpty {
      parts.append(TokenizerData.step("Precompiled", [.init("precompiled_charsmap", .string(Base64.text(of: characterMap)))]))
    }
    if squeezesSpaces ?? false {
      parts.append(TokenizerData.step("Strip", [.init("strip_left", .bool(true)), .init("strip_right", .bool(true))]))
      let pattern = JSON.object([.init("Regex", .string(" {2,}"))])
      parts.append(TokenizerData.step("Replace", [.init("pattern", pattern), .init("content", .string(" "))]))
    }
    return parts.isEmpty ? .null : TokenizerData.step("Sequence", [.init("normalizers", .array(parts))])
  }

  var unigramPreTokenizer: JSON { unigramMetaspace }

  var unigramMetaspace: JSON {
    let addsPrefix = addsSpacePrefix ?? false || squeezesSpaces ?? false
    return TokenizerData.step(
      "Metaspace",
      [
        .init("replacement", .string("\u{2581}")), .init("prepend_scheme", .string(addsPrefix ? "always" : "never")),
        .init("split", .bool(false)),
      ])
  }
}
