import QuantCore

/// Tokenizers as stored in the keys of a GGUF (`tokenizer.ggml.*`).
extension TokenizerData {
  /// The key that names the pre-tokenizer.
  static let preTokenizerKey = "tokenizer.ggml.pre"
  static let modelKey = "tokenizer.ggml.model"
  static let mergesKey = "tokenizer.ggml.merges"
  private static let squeezeKey = "tokenizer.ggml.remove_extra_whitespaces"
  private static let characterMapKey = "tokenizer.ggml.precompiled_charsmap"
  private static let lowercaseKey = "tokenizer.ggml.normalizer.lowercase"
  private static let accentsKey = "tokenizer.ggml.normalizer.strip_accents"
  /// The character for a space in the pieces of SentencePiece.
  private static let writtenSpace: Unicode.Scalar = "\u{2581}"

  /// Special ids in the order in which llama.cpp's converter writes them, with their keys. It does not write `cls`.
  private static let specialOrder = [
    "bos", "eos", "unknown", "seperator", "padding", "mask", "eot", "eom", "fim_pre", "fim_suf", "fim_mid", "fim_pad",
    "fim_rep", "fim_sep",
  ]

  /// Keys, types and values as llama.cpp's converter writes them, in its order.
  var keyValues: [(String, MetadataValue)] {
    var entries: [(String, MetadataValue)] = []
    if let addsSpacePrefix, kind != .unigram { entries.append((TokenizerMetadata.spacePrefixKey, .bool(addsSpacePrefix))) }
    entries.append((TokenizerData.modelKey, .string(kind.ggufName)))
    if let preTokenizerName { entries.append((TokenizerData.preTokenizerKey, .string(preTokenizerName))) }
    // Clients look for user-defined tokens in plain text, in which spaces are spaces.
    let texts = zip(tokens, types).map { text, type in
      guard type == .userDefined else { return text }
      return String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == TokenizerData.writtenSpace ? " " : $0 }))
    }
    let stored = types.count == tokens.count ? texts : tokens
    entries.append(("tokenizer.ggml.tokens", .strings(kind == .wordPiece ? WordPieceSpelling.stored(stored, types) : stored)))
    if !scores.isEmpty { entries.append(("tokenizer.ggml.scores", .f32s(scores))) }
    if !types.isEmpty { entries.append(("tokenizer.ggml.token_type", .i32s(types.map { $0.rawValue }))) }
    if kind == .unigram { entries += unigramEntries }
    if !merges.isEmpty, kind == .byteLevelBPE { entries.append((TokenizerData.mergesKey, .strings(merges))) }
    entries += specialEntries
    // The converter writes the flags in the order in which it finds them: Llama's template mentions BOS and separator, and only the
    // configuration, which is read later, says that there is no EOS.
    let rules = [("bos", addsBOS), ("eos", addsEOS), ("sep", addsSeparator)]
    let order = kind.isSentencePiece && addsEOS == false ? [rules[0], rules[2], rules[1]] : rules
    for (name, adds) in order {
      if let adds { entries.append(("tokenizer.ggml.add_\(name)_token", .bool(adds))) }
    }
    if let chatTemplate { entries.append(("tokenizer.chat_template", .string(chatTemplate))) }
    if let lowercases { entries.append((TokenizerData.lowercaseKey, .bool(lowercases))) }
    if let stripsAccents { entries.append((TokenizerData.accentsKey, .bool(stripsAccents))) }
    return entries
  }

  /// The ids of special tokens.
  var specialEntries: [(String, MetadataValue)] {
    let others = special.keys.filter { $0 != "cls" && !TokenizerData.specialOrder.contains($0) }.sorted()
    return (TokenizerData.specialOrder + others).compactMap { name in
      special[name].flatMap { UInt32(exactly: $0) }.map { ("tokenizer.ggml.\(name)_token_id", .u32($0)) }
    }
  }

  /// How a unigram tokenizer treats spaces and characters.
  private var unigramEntries: [(String, MetadataValue)] {
    var entries: [(String, MetadataValue)] = []
    if let addsSpacePrefix { entries.append((TokenizerMetadata.spacePrefixKey, .bool(addsSpacePrefix))) }
    if let squeezesSpaces { entries.append((TokenizerData.squeezeKey, .bool(squeezesSpaces))) }
    if !characterMap.isEmpty { entries.append((TokenizerData.characterMapKey, .u8s(characterMap))) }
    return entries
  }

  /// llama.cpp's name for the pre-tokenizer. Only the byte-level tokenizer needs it; for the others this is what the converter writes.
  private var preTokenizerName: String? {
    switch kind {
    case .byteLevelBPE: preTokenizer
    case .wordPiece: tokens.count == TokenizerData.chineseBertTokens ? "bert-bge-large" : "jina-v2-en"
    case .sentencePieceBPE, .unigram: "default"
    }
  }

  /// The size of the vocabulary of Chinese BERT models, which the converter tells from English ones.
  private static let chineseBertTokens = 21128

  /// Reads the tokenizer of a GGUF file.
  /// - Throws: `Failure` `tokenizer.missing`, `tokenizer.model-type` for kinds that are not known, or as `check`.
  init(ggufMetadata metadata: KeyValues) throws {
    guard let model = metadata[TokenizerData.modelKey]?.stringValue, case .strings(let tokens)? = metadata["tokenizer.ggml.tokens"]
    else { throw Failure(.data, "tokenizer.missing", "the metadata contains no tokenizer") }
    let known = Kind.allCases.first { $0.ggufName == model }
    guard let kind = model == MergedPieces.model ? .sentencePieceBPE : known else {
      throw Failure(.unsupported, "tokenizer.model-type", "tokenizers of kind '\(model)' are not supported")
    }
    self.init(kind: kind, tokens: tokens)
    if kind == .byteLevelBPE { preTokenizer = metadata[TokenizerData.preTokenizerKey]?.stringValue }
    if case .f32s(let values)? = metadata["tokenizer.ggml.scores"] { scores = values }
    if case .strings(let values)? = metadata[TokenizerData.mergesKey], kind == .byteLevelBPE || model == MergedPieces.model {
      merges = values
    }
    if case .i32s(let values)? = metadata["tokenizer.ggml.token_type"] {
      // A token of unknown type is one that text never becomes.
      types = values.map { TokenType(rawValue: $0) ?? .unused }
    }
    let end = "_token_id"
    for (key, value) in metadata.entries where key.hasPrefix("tokenizer.ggml.") && key.hasSuffix(end) {
      guard let id = value.intValue else {
        throw Failure(.data, "tokenizer.special-id", "the key '\(key)' is not an integer")
      }
      special[String(key.dropFirst("tokenizer.ggml.".count).dropLast(end.count))] = id
    }
    addsBOS = metadata["tokenizer.ggml.add_bos_token"]?.boolValue
    addsEOS = metadata["tokenizer.ggml.add_eos_token"]?.boolValue
    addsSeparator = metadata["tokenizer.ggml.add_sep_token"]?.boolValue
    addsSpacePrefix = metadata[TokenizerMetadata.spacePrefixKey]?.boolValue
    chatTemplate = metadata["tokenizer.chat_template"]?.stringValue
    lowercases = metadata[TokenizerData.lowercaseKey]?.boolValue
    squeezesSpaces = metadata[TokenizerData.squeezeKey]?.boolValue
    switch metadata[TokenizerData.characterMapKey] {
    case .u8s(let bytes): characterMap = bytes
    case .i8s(let bytes): characterMap = bytes.map { UInt8(bitPattern: $0) }
    default: break
    }
    stripsAccents = metadata[TokenizerData.accentsKey]?.boolValue
    if kind == .wordPiece { self.tokens = WordPieceSpelling.read(tokens, types) }
    // GGUF has no key for this; it follows from the name of the pre-tokenizer.
    ignoreMerges = TokenizerData.ignoresMerges(preTokenizer)
    try check()
  }
}

extension TokenizerData.Kind {
  /// The value of `tokenizer.ggml.model`.
  var ggufName: String {
    switch self {
    case .byteLevelBPE: "gpt2"
    case .sentencePieceBPE: "llama"
    case .wordPiece: "bert"
    case .unigram: "t5"
    }
  }
}
