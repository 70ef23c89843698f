public import QuantCore

extension Checkpoint {
  /// An output matrix beside a tied embedding must be the same: some programs would use one of them, some the other.
  public func checkTie(output: String, embedding: String) throws(Failure) {
    guard let output = self[output], let embedding = self[embedding], !output.hasSameContent(as: embedding) else { return }
    throw Failure(
      .data, "model.tied-output", "differs from the embedding, although the configuration ties the two", file: path,
      tensor: output.name,
      remedy: "Remove the tensor that is not meant, or give --config with 'tie_word_embeddings' set to false to keep both.")
  }
}

extension ConfigurationKeys {
  /// A configuration with more blocks than the checkpoint has tensors would only cost memory.
  public func check(blockCount: Int, in tensors: Checkpoint) throws(Failure) {
    guard blockCount > tensors.tensors.count else { return }
    throw Failure(
      .data, "model.block-count", "the configuration states \(blockCount) blocks, but there are only \(tensors.tensors.count) tensors",
      file: path)
  }

  /// Tokens of the model: as stated, and as many as the embedding has rows.
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
        .data, "model.vocabulary", "the token embedding has \(rows) rows, but '\(source)' means \(size) tokens", file: path,
        remedy: "Added tokens need rows: resize the embedding, or correct the configuration.")
    }
    return size
  }

  /// The size of a head of `heads`, which share the hidden size.
  public func headSize(hiddenSize: Int, heads: Int) throws(Failure) -> Int {
    guard hiddenSize.isMultiple(of: heads) else {
      throw Failure(
        .data, "model.head-size", "the hidden size \(hiddenSize) is not a multiple of \(heads) heads", file: path)
    }
    return hiddenSize / heads
  }
}
