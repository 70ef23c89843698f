import QuantCore

/// What sets one family of decoders apart from the others: RMS norms, rotary embedding, grouped heads and a gated
/// feed-forward layer are common to all.
struct DecoderTraits: Sendable {
  var family: String
  var ggufArchitecture: String
  /// Whether llama.cpp's converter interleaves the rows of Q and K for this architecture.
  var interleavesRotaryRows = false
  /// Linear layers that always have a bias.
  var biased: Set<TensorRole> = []
  /// Whether `attention_bias` and `mlp_bias` may add biases.
  var mayHaveBiases = false
  /// Whether every head of Q and K is normalised before the rotary embedding.
  var normalisesHeads = false
  /// Key-value heads where the configuration does not say; nil: as many as query heads.
  var defaultKeyValueHeads: Int?
  /// Head size where a `config.json` does not say; nil: the hidden size divided by the heads.
  var defaultHeadSize: Int?
  /// Epsilon of the norms where a `config.json` does not say.
  var defaultNormEpsilon = 1e-6
  /// The attention window that a `config.json` states.
  var slidingWindow: @Sendable (ConfigurationKeys, _ blockCount: Int) throws(Failure) -> Int? = { _, _ throws(Failure) in nil }
}

extension DecoderTraits {
  /// Builds the description that a configuration of this family means.
  func describe(_ configuration: Configuration, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let parameters = try hyperParameters(keys, tensors)
    return ModelDescription(
      family: family, ggufArchitecture: ggufArchitecture, parameters: parameters,
      tensors: modelTensors(parameters, keys), block: graph(parameters))
  }

  // MARK: Numbers

  private func hyperParameters(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> HyperParameters {
    var p = HyperParameters()
    p.hiddenSize = try keys.positiveSize("hidden_size", "embedding_length")
    p.blockCount = try keys.positiveSize("num_hidden_layers", "block_count")
    guard p.blockCount <= tensors.tensors.count else {
      throw Failure(
        .data, "model.block-count", "the configuration states \(p.blockCount) blocks, but there are only \(tensors.tensors.count) tensors",
        file: keys.path)
    }
    p.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    p.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 0
    p.normEpsilon = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? defaultNormEpsilon
    try readHeads(keys, &p)
    p.rope = try keys.rope(headSize: p.headSize, factors: tensors["rope_freqs.weight"])
    try checkVariant(keys)
    switch keys.configuration {
    case .huggingFace:
      p.slidingWindow = try slidingWindow(keys, p.blockCount)
      p.tiesEmbeddings = keys.json("tie_word_embeddings")?.boolValue ?? false
      if p.tiesEmbeddings { try checkTie(tensors) }
    case .gguf:
      p.slidingWindow = try keys.size("", "attention.sliding_window").flatMap { $0 > 0 ? $0 : nil }
      p.tiesEmbeddings = tensors["output.weight"] == nil
    }
    p.vocabularySize = try vocabularySize(keys, tensors)
    return p
  }

  private func readHeads(_ keys: ConfigurationKeys, _ p: inout HyperParameters) throws(Failure) {
    let heads = try keys.size("num_attention_heads", "attention.head_count")
    guard let heads else { throw keys.missing("num_attention_heads", "attention.head_count") }
    let isStored = if case .gguf = keys.configuration { true } else { false }
    let groups = try keys.size("num_key_value_heads", "attention.head_count_kv") ?? (isStored ? nil : defaultKeyValueHeads) ?? heads
    func failure(_ id: String, _ message: String) -> Failure { Failure(.data, id, message, file: keys.path) }
    guard heads > 0, groups > 0, heads.isMultiple(of: groups) else {
      throw failure("model.head-count", "\(heads) attention heads cannot share \(groups) key-value heads")
    }
    let stated = try keys.size("head_dim", "attention.key_length")
    if let values = try keys.size("head_dim", "attention.value_length"), values != stated {
      throw keys.unsupported("model.head-size", "heads of keys and values differ in size")
    }
    if stated == nil, isStored || defaultHeadSize == nil, !p.hiddenSize.isMultiple(of: heads) {
      throw failure("model.head-size", "the hidden size \(p.hiddenSize) is not a multiple of \(heads) heads")
    }
    let headSize = stated ?? (isStored ? nil : defaultHeadSize) ?? p.hiddenSize / heads
    guard headSize > 0, headSize.isMultiple(of: 2) else {
      throw failure("model.head-size", "a head of \(headSize) dimensions has no rotary pairs")
    }
    p.headCount = heads
    p.keyValueHeadCount = groups
    p.headSize = headSize
    p.statesHeadSize = stated != nil
  }

  /// Refuses what the engine would run as something else.
  private func checkVariant(_ keys: ConfigurationKeys) throws(Failure) {
    if let experts = try keys.size("num_local_experts", "expert_count"), experts > 0 {
      throw keys.unsupported("model.experts", "the model is a mixture of \(experts) experts")
    }
    if let activation = keys.json("hidden_act")?.stringValue, activation != "silu" {
      throw keys.unsupported("model.activation", "the activation '\(activation)' is not supported")
    }
  }

  /// An output matrix beside a tied embedding must be the same: some programs would use one of them, some the other.
  private func checkTie(_ tensors: Checkpoint) throws(Failure) {
    guard let output = tensors["lm_head.weight"], let embedding = tensors["model.embed_tokens.weight"],
      !output.hasSameContent(as: embedding)
    else { return }
    throw Failure(
      .data, "model.tied-output", "differs from the embedding, although the configuration ties the two", file: tensors.path,
      tensor: output.name,
      remedy: "Remove the tensor that is not meant, or give --config with 'tie_word_embeddings' set to false to keep both.")
  }

  private func vocabularySize(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Int {
    let rows = (tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])?.shape.first
    var stated = try keys.size("vocab_size", "vocab_size")
    var source = keys.name("vocab_size", "vocab_size")
    if case .gguf(let values) = keys.configuration, case .strings(let tokens) = values["tokenizer.ggml.tokens"] {
      stated = tokens.count
      source = "tokenizer.ggml.tokens"
    }
    guard let size = stated ?? rows, size > 0 else { throw keys.missing("vocab_size", "vocab_size") }
    if let rows, rows != size {
      throw Failure(
        .data, "model.vocabulary", "the token embedding has \(rows) rows, but '\(source)' means \(size) tokens", file: keys.path,
        remedy: "Added tokens need rows: resize the embedding, or correct the configuration.")
    }
    return size
  }

  // MARK: Graph

  private func graph(_ p: HyperParameters) -> BlockGraph {
    BlockGraph(
      linears: [
        (.query, .attentionInput), (.key, .attentionInput), (.value, .attentionInput), (.attentionOutput, .attentionOutput),
        (.gate, .feedForwardInput), (.up, .feedForwardInput), (.down, .feedForwardOutput),
      ],
      folds: [
        Fold(site: .attentionInput, producer: .norm(.attentionNorm)),
        Fold(
          site: .attentionOutput, producer: .valueRows(.value, queryHeads: p.headCount, keyValueHeads: p.keyValueHeadCount)),
        Fold(site: .feedForwardInput, producer: .norm(.feedForwardNorm)),
        Fold(site: .feedForwardOutput, producer: .rows(.up)),
      ])
  }
}
