import QuantCore

/// The keys below `tokenizer.`, as a model of some architecture wants them.
enum TokenizerMetadata {
  /// Whether SentencePiece puts a space in front of a text.
  static let spacePrefixKey = "tokenizer.ggml.add_space_prefix"

  /// Adds the tokenizer's own keys (`TokenizerData.keyValues`), its vocabulary filled up to the rows of the embedding: llama.cpp
  /// wants both equal.
  /// - Parameter statesSpacePrefix: whether the architecture has the space prefix of a byte-level tokenizer stated.
  /// - Throws: `Failure` where the tokenizer splits text in a way that llama.cpp has no name for, or has too many tokens.
  static func add(
    to values: inout KeyValues, _ tokenizer: TokenizerData, statesSpacePrefix: Bool, vocabularySize: Int, path: String
  ) throws(Failure) {
    guard tokenizer.kind == .sentencePieceBPE || tokenizer.preTokenizer != nil else {
      throw Failure(
        .unsupported, "gg.pre-tokenizer", "splits text in a way that has no name in llama.cpp", file: path,
        remedy: "Give --pre NAME, or write a Hugging Face folder.")
    }
    guard tokenizer.tokens.count <= vocabularySize else {
      throw Failure(
        .data, "gg.vocabulary", "has \(tokenizer.tokens.count) tokens and only \(vocabularySize) rows of embeddings", file: path,
        remedy: "Tokenizer and weights belong to different models, or the embedding was not resized.")
    }
    for (key, value) in tokenizer.padded(to: vocabularySize).keyValues {
      // Byte-level tokenizers have no space prefix; few of the converter's classes write what their configuration says.
      if key == spacePrefixKey && tokenizer.kind == .byteLevelBPE && !statesSpacePrefix { continue }
      values[key] = value
    }
  }
}
