import QuantCore

/// The keys below `tokenizer.`, as the model's architecture needs them.
enum TokenizerMetadata {
  /// Whether SentencePiece puts a space before a text.
  static let spacePrefixKey = "tokenizer.ggml.add_space_prefix"

  /// Adds the tokenizer's own keys (`TokenizerData.keyValues`), with the vocabulary padded to the rows of the embedding: llama.cpp
  /// needs both to be equal.
  /// - Parameters:
  ///   - statesSpacePrefix: whether the architecture states the space prefix of a byte-level tokenizer.
  ///   - model: what llama.cpp calls the kind of tokenizer in this architecture, if that does not follow from the tokenizer.
  /// - Throws: `Failure` if the tokenizer splits text in a way for which llama.cpp has no name, or has too many tokens.
  static func add(
    to values: inout KeyValues, _ tokenizer: TokenizerData, statesSpacePrefix: Bool, model: String?, vocabularySize: Int, path: String
  ) throws(Failure) {
    guard tokenizer.kind != .byteLevelBPE || tokenizer.preTokenizer != nil else {
      throw Failure(
        .unsupported, "gg.pre-tokenizer", "splits or changes text in a way for which llama.cpp has no name", file: path,
        remedy: "Give \(setting: "pre") NAME, or write a Hugging Face folder.")
    }
    guard tokenizer.tokens.count <= vocabularySize else {
      throw Failure(
        .data, "gg.vocabulary",
        "has \(tokenizer.tokens.count) tokens but only \(vocabularySize) embedding rows, none for '\(tokenizer.tokens[vocabularySize])'",
        file: path,
        remedy: "Give the tokenizer that belongs to the weights, or resize the embedding (resize_token_embeddings) for the new tokens.")
    }
    let padded = tokenizer.padded(to: vocabularySize)
    let isMerged = model == MergedPieces.model && MergedPieces.describe(padded)
    for (key, value) in isMerged ? MergedPieces.keyValues(padded) : padded.keyValues {
      // Byte-level tokenizers have no space prefix; few of the converter's classes write what the configuration says about it.
      if key == spacePrefixKey && tokenizer.kind == .byteLevelBPE && !statesSpacePrefix { continue }
      values[key] = value
    }
  }
}
