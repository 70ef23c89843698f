public import QuantCore

/// The hyperparameters that all decoders have. Names are those of the literature.
public struct DecoderNumbers: Sendable, Equatable {
  /// Channels between blocks.
  public var hiddenSize = 0
  /// Decoder blocks.
  public var blockCount = 0
  /// Query heads of a block.
  public var headCount = 0
  /// Key-value heads of a block; each serves the same number of query heads.
  public var keyValueHeadCount = 0
  /// Dimension of one head.
  public var headSize = 0
  /// Channels inside the feed-forward network.
  public var feedForwardSize = 0
  /// Rows of the embedding.
  public var vocabularySize = 0
  /// Tokens that the model was trained to see at once; 0 if unknown.
  public var contextLength = 0
  /// What is added to the mean square in norms.
  public var normEpsilon = 1e-5
  /// Whether the output matrix is the token embedding.
  public var tiesEmbeddings = false
  /// Whether the configuration states the head size itself (this decides which metadata llama.cpp's converter writes).
  public var statesHeadSize = false

  public init() {}

  /// An attention of these sizes.
  public func attention(rope: Rope? = nil) -> Attention {
    Attention(width: hiddenSize, headCount: headCount, keyValueHeadCount: keyValueHeadCount, headSize: headSize, rope: rope)
  }

  /// A feed-forward network of these sizes, gated by default.
  public func feedForward(_ activation: Activation = .silu, innerSize: Int? = nil, isGated: Bool = true) -> FeedForward {
    FeedForward(width: hiddenSize, innerSize: innerSize ?? feedForwardSize, activation: activation, isGated: isGated)
  }

  /// A norm that divides by the root of the mean square.
  public func rootMeanSquareNorm(_ role: TensorRole) -> Norm { Norm(role, .rootMeanSquare, epsilon: normEpsilon) }

  /// A norm that subtracts the mean too.
  public func layerNorm(_ role: TensorRole) -> Norm { Norm(role, .layer, epsilon: normEpsilon) }
}

extension ConfigurationKeys {
  /// The hyperparameters that configurations of decoders with RMS norms state, in the spelling of Llama and most models after it.
  /// - Parameters:
  ///   - defaultHeads: query heads if a `config.json` does not state them; nil: it must.
  ///   - defaultKeyValueHeads: key-value heads if a `config.json` does not state them; nil: as many as query heads.
  ///   - defaultHeadSize: head size if a `config.json` does not state it; nil: the hidden size divided by the heads.
  ///   - defaultNormEpsilon: epsilon if a `config.json` does not state it.
  ///   - feedForwardSize: whether the size of a dense feed-forward network must be stated.
  ///   - mayDiffer: whether blocks may differ in the size of their feed-forward networks and in their key-value heads; then the numbers
  ///     are those of the first block.
  ///   - valuesMayDiffer: whether heads of values may have another size.
  public func decoderNumbers(
    defaultHeads: Int? = nil, defaultKeyValueHeads: Int? = nil, defaultHeadSize: Int? = nil, defaultNormEpsilon: Double = 1e-6,
    tensors: Checkpoint,
    feedForwardSize isStated: Bool = true, mayDiffer: Bool = false, valuesMayDiffer: Bool = false
  ) throws(Failure) -> DecoderNumbers {
    var n = DecoderNumbers()
    n.hiddenSize = try positiveSize("hidden_size", "embedding_length")
    n.blockCount = try positiveSize("num_hidden_layers", "block_count")
    try check(blockCount: n.blockCount, in: tensors)
    n.feedForwardSize =
      isStated
      ? try positiveSize("intermediate_size", "feed_forward_length", mayDiffer: mayDiffer)
      : try size("intermediate_size", "feed_forward_length", skipsZeros: true) ?? 0
    n.contextLength = try size("max_position_embeddings", "context_length") ?? assumedLength ?? 0
    n.normEpsilon = try number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? defaultNormEpsilon
    try readHeads(
      &n, isStored ? nil : defaultHeads, defaultKeyValueHeads, defaultHeadSize, mayDiffer: mayDiffer, valuesMayDiffer: valuesMayDiffer)
    return n
  }

  private func readHeads(
    _ n: inout DecoderNumbers, _ defaultHeads: Int?, _ defaultKeyValueHeads: Int?, _ defaultHeadSize: Int?, mayDiffer: Bool,
    valuesMayDiffer: Bool
  ) throws(Failure) {
    let heads = try size("num_attention_heads", "attention.head_count", mayDiffer: mayDiffer) ?? defaultHeads
    guard let heads else { throw missing("num_attention_heads", "attention.head_count") }
    let groups =
      try size("num_key_value_heads", "attention.head_count_kv", skipsZeros: true, mayDiffer: mayDiffer)
      ?? (isStored ? nil : defaultKeyValueHeads) ?? heads
    func failure(_ id: String, _ message: String) -> Failure { Failure(.data, id, message, file: path) }
    guard heads > 0, groups > 0, heads.isMultiple(of: groups) else {
      throw failure("model.head-count", "\(heads) attention heads cannot share \(groups) key-value heads")
    }
    let stated = try size("head_dim", "attention.key_length")
    if let values = try size("head_dim", "attention.value_length"), values != stated, !valuesMayDiffer {
      throw unsupported("model.head-size", "key heads and value heads differ in size")
    }
    if stated == nil, isStored || defaultHeadSize == nil, !n.hiddenSize.isMultiple(of: heads) {
      throw failure("model.head-size", "the hidden size \(n.hiddenSize) is not divisible by \(heads) heads")
    }
    let headSize = stated ?? (isStored ? nil : defaultHeadSize) ?? n.hiddenSize / heads
    guard headSize > 0, headSize.isMultiple(of: 2) else {
      throw failure("model.head-size", "a head of \(headSize) dimensions cannot be split into rotary pairs")
    }
    n.headCount = heads
    n.keyValueHeadCount = groups
    n.headSize = headSize
    n.statesHeadSize = stated != nil
  }
}
