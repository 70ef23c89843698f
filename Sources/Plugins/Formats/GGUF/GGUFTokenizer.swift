import QuantCore

/// Tokenizers as stored in the keys of a GGUF (`tokenizer.ggml.*`).
extension TokenizerData {
  /// The key that names the pre-tokenizer.
  static let preTokenizerKey = "tokenizer.ggml.pre"
  /// The character for a space in the pieces of SentencePiece.
  private static let writtenSpace: Unicode.Scalar = "\u{2581}"

  /// Special ids in the order in which llama.cpp's converter writes them, with their keys.
  private static let specialOrder = [
    "bos", "eos", "unknown", "seperator", "padding", "cls", "mask", "eot", "eom", "fim_pre", "fim_suf", "fim_mid", "fim_pad",
    "fim_rep", "fim_sep",
  ]

  /// Keys, types and values as llama.cpp's converter writes them, in its order.
  var keyValues: [(String, MetadataValue)] {
    var entries: [(String, MetadataValue)] = []
    if let addsSpacePrefix { entries.append((TokenizerMetadata.spacePrefixKey, .bool(addsSpacePrefix))) }
    entries.append(("tokenizer.ggml.model", .string(kind == .byteLevelBPE ? "gpt2" : "llama")))
    // The SentencePiece tokenizer ignores the name; the converter always writes this one.
    if let name = kind == .byteLevelBPE ? preTokenizer : "default" {
      entries.append((TokenizerData.preTokenizerKey, .string(name)))
    }
    // Clients look for user-defined tokens in plain text, in which spaces are spaces.
    let texts = zip(tokens, types).map { text, type in
      guard type == .userDefined else { return text }
      return String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == TokenizerData.writtenSpace ? " " : $0 }))
    }
    entries.append(("tokenizer.ggml.tokens", .strings(types.count == tokens.count ? texts : tokens)))
    if !scores.isEmpty { entries.append(("tokenizer.ggml.scores", .f32s(scores))) }
    if !types.isEmpty { entries.append(("tokenizer.ggml.token_type", .i32s(types.map { $0.rawValue }))) }
    if !merges.isEmpty { entries.append(("tokenizer.ggml.merges", .strings(merges))) }
    let others = special.keys.filter { !TokenizerData.specialOrder.contains($0) }.sorted()
    for name in TokenizerData.specialOrder + others {
      if let id = special[name].flatMap({ UInt32(exactly: $0) }) { entries.append(("tokenizer.ggml.\(name)_token_id", .u32(id))) }
    }
    // The converter writes the flags in the order in which it finds them: Llama's template mentions BOS and separator, and only the
    // configuration, which is read later, says that there is no EOS.
    let rules = [("bos", addsBOS), ("eos", addsEOS), ("sep", addsSeparator)]
    let order = kind == .sentencePieceBPE && addsEOS == false ? [rules[0], rules[2], rules[1]] : rules
    for (name, adds) in order {
      if let adds { entries.append(("tokenizer.ggml.add_\(name)_token", .bool(adds))) }
    }
    if let chatTemplate { entries.append(("tokenizer.chat_template", .string(chatTemplate))) }
    return entries
  }

  /// Reads the tokenizer of a GGUF file.
  /// - Throws: `Failure` `tokenizer.missing`, `tokenizer.model-type` for kinds other than `gpt2` and `llama`, or as `check`.
  init(ggufMetadata metadata: KeyValues) throws {
    guard let model = metadata["tokenizer.ggml.model"]?.stringValue,
      case .strings(let tokens)? = metadata["tokenizer.ggml.tokens"]
    else { throw Failure(.data, "tokenizer.missing", "the metadata contains no tokenizer") }
    switch model {
    case "gpt2": self.init(kind: .byteLevelBPE, tokens: tokens)
    case "llama": self.init(kind: .sentencePieceBPE, tokens: tokens)
    default: throw Failure(.unsupported, "tokenizer.model-type", "tokenizers of kind '\(model)' are not supported")
    }
    if kind == .byteLevelBPE { preTokenizer = metadata[TokenizerData.preTokenizerKey]?.stringValue }
    if case .f32s(let values)? = metadata["tokenizer.ggml.scores"] { scores = values }
    if case .strings(let values)? = metadata["tokenizer.ggml.merges"] { merges = values }
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
    // GGUF has no key for this; it follows from the name of the pre-tokenizer.
    ignoreMerges = TokenizerData.ignoresMerges(preTokenizer)
    try check()
  }
}
