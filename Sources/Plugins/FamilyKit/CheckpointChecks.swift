public import QuantCore

extension Checkpoint {
  /// An output matrix stored beside a tied embedding must equal it: some clients would use one of them, some the other.
  public func checkTie(output: String, embedding: String) throws(Failure) {
    guard let output = self[output], let embedding = self[embedding], !output.hasSameContent(as: embedding) else { return }
    throw Failure(
      .data, "model.tied-output", "differs from the embedding, although the configuration ties the two", file: path,
      tensor: output.name,
      remedy: "Remove the wrong tensor, or set 'tie_word_embeddings' to false with \(setting: "config") to keep both.")
  }
}

extension ConfigurationKeys {
  /// Refuses a configuration with more blocks than the checkpoint has tensors, which would only waste memory.
  public func check(blockCount: Int, in tensors: Checkpoint) throws(Failure) {
    guard blockCount > tensors.tensors.count else { return }
    throw Failure(
      .data, "model.block-count", "the configuration states \(blockCount) blocks, but there are only \(tensors.tensors.count) tensors",
      file: path)
  }

  /// Size of the vocabulary: as stated, and equal to the number of rows of the embedding.
  public func vocabularySize(_ embedding: CheckpointTensor?) throws(Failure) -> Int {
    let rows = embedding?.shape.first
    var stated = try size("vocab_size", "vocab_size")
    var source = name("vocab_size", "vocab_size")
    if case .strings(let tokens)? = configuration.keyValues?["tokenizer.ggml.tokens"] {
      stated = tokens.count
      source = "tokenizer.ggml.tokens"
    }
    guard let size = stated ?? rows, size > 0 else { throw missing("vocab_size", "vocab_size") }
    if let rows, rows != size {
      throw Failure(
        .data, "model.vocabulary", "the token embedding has \(rows) rows, but '\(source)' states \(size) tokens", file: path,
        remedy: "Resize the embedding so that added tokens have rows, or correct the configuration.")
    }
    return size
  }

  /// The size of each of `heads`, which divide the hidden size among them.
  public func headSize(hiddenSize: Int, heads: Int) throws(Failure) -> Int {
    guard hiddenSize.isMultiple(of: heads) else {
      throw Failure(
        .data, "model.head-size", "the hidden size \(hiddenSize) is not divisible by \(heads) heads", file: path)
    }
    return hiddenSize / heads
  }
}
