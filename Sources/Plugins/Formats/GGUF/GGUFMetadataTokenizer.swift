import QuantCore

/// The keys below `tokenizer.`.
enum TokenizerMetadata {
  /// Special tokens in the order in which they are written.
  private static let special = ["bos", "eos", "unknown", "seperator", "padding", "cls", "mask", "eot", "eom"]

  /// - Parameter vocabularySize: rows of the embedding; tokens are filled up to it, because llama.cpp wants both equal.
  static func add(to values: inout KeyValues, _ tokenizer: TokenizerData, vocabularySize: Int, path: String) throws(Failure) {
    let isBytes = tokenizer.kind == .byteLevelBPE
    guard let preTokenizer = tokenizer.preTokenizer ?? (isBytes ? nil : "default") else {
      throw Failure(
        .unsupported, "gg.pre-tokenizer", "splits text in a way that has no name in llama.cpp", file: path,
        remedy: "Write a Hugging Face folder instead.")
    }
    guard tokenizer.tokens.count <= vocabularySize else {
      throw Failure(
        .data, "gg.vocabulary", "has \(tokenizer.tokens.count) tokens and only \(vocabularySize) rows of embeddings", file: path)
    }
    if let addsSpace = tokenizer.addsSpacePrefix { values["tokenizer.ggml.add_space_prefix"] = .bool(addsSpace) }
    values["tokenizer.ggml.model"] = .string(isBytes ? "gpt2" : "llama")
    values["tokenizer.ggml.pre"] = .string(preTokenizer)
    let missing = tokenizer.tokens.count..<vocabularySize
    values["tokenizer.ggml.tokens"] = .strings(tokenizer.tokens + missing.map { "[PAD\($0)]" })
    if !isBytes {
      let scores = tokenizer.scores + [Float](repeating: -10000, count: max(0, vocabularySize - tokenizer.scores.count))
      values["tokenizer.ggml.scores"] = .f32s(scores)
    }
    let types = tokenizer.types.map(\.rawValue)
    let unused = [Int32](repeating: TokenizerData.TokenType.unused.rawValue, count: max(0, vocabularySize - types.count))
    values["tokenizer.ggml.token_type"] = .i32s(types + unused)
    if isBytes { values["tokenizer.ggml.merges"] = .strings(tokenizer.merges) }
    let others = tokenizer.special.keys.filter { !special.contains($0) }.sorted()
    for name in special + others {
      guard let id = tokenizer.special[name], let number = UInt32(exactly: id) else { continue }
      values["tokenizer.ggml.\(name)_token_id"] = .u32(number)
    }
    if let addsBOS = tokenizer.addsBOS { values["tokenizer.ggml.add_bos_token"] = .bool(addsBOS) }
    if let addsSeparator = tokenizer.addsSeparator { values["tokenizer.ggml.add_sep_token"] = .bool(addsSeparator) }
    if let addsEOS = tokenizer.addsEOS { values["tokenizer.ggml.add_eos_token"] = .bool(addsEOS) }
    if let template = tokenizer.chatTemplate { values["tokenizer.chat_template"] = .string(template) }
  }
}
