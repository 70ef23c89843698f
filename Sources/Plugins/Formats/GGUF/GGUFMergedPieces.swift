import QuantCore

/// SentencePiece's pieces, merged by a list instead of scores: a kind of its own in llama.cpp, although its tokenizer is written like any
/// other with such pieces.
enum MergedPieces {
  /// What llama.cpp calls it.
  static let model = "gemma4"
  /// Control tokens that are shown in text, so that programs find what a model calls.
  private static let shown: Set<String> = [
    "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>",
  ]
  /// Of every token.
  private static let score: Float = -1000

  /// Whether a tokenizer is of this kind: it has such pieces and a list of merges.
  static func describe(_ data: TokenizerData) -> Bool { data.kind == .sentencePieceBPE && !data.merges.isEmpty }

  /// Keys, types and values as llama.cpp's converter writes them, in its order.
  static func keyValues(_ data: TokenizerData) -> [(String, MetadataValue)] {
    let types = data.tokens.indices.map { type(of: $0, data).rawValue }
    var entries: [(String, MetadataValue)] = [
      (TokenizerData.modelKey, .string(model)), ("tokenizer.ggml.tokens", .strings(data.tokens)),
      ("tokenizer.ggml.scores", .f32s([Float](repeating: score, count: data.tokens.count))),
      ("tokenizer.ggml.token_type", .i32s(types)), (TokenizerData.mergesKey, .strings(data.merges)),
    ]
    entries += data.specialEntries
    if let adds = data.addsEOS { entries.append(("tokenizer.ggml.add_eos_token", .bool(adds))) }
    if let adds = data.addsSeparator { entries.append(("tokenizer.ggml.add_sep_token", .bool(adds))) }
    if let template = data.chatTemplate { entries.append(("tokenizer.chat_template", .string(template))) }
    return entries + [(TokenizerMetadata.spacePrefixKey, .bool(false)), ("tokenizer.ggml.add_bos_token", .bool(true))]
  }

  /// The converter calls every token normal that is neither a byte nor named as special, but those that files add to the model's own.
  private static func type(of id: Int, _ data: TokenizerData) -> TokenizerData.TokenType {
    if shown.contains(data.tokens[id]) { return .userDefined }
    if data.types[id] == .byte || data.tokens[id] == "[PAD\(id)]" { return data.types[id] }
    if data.namedSpecial.contains(id) { return .control }
    return id < data.ownCount ?? data.tokens.count ? .normal : .userDefined
  }
}
