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
  /// Whether the feed-forward layer is a mixture of experts behind a router; nil: the container says so.
  var mixesExperts: Bool? = false
  /// Base of the rotary frequencies where a `config.json` does not say.
  var defaultTheta = 10000.0
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
    try keys.check(blockCount: p.blockCount, in: tensors)
    p.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    p.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 0
    p.normEpsilon = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? defaultNormEpsilon
    try readHeads(keys, &p)
    if mixesExperts != false { try readExperts(keys, &p) }
    p.rope = try keys.rope(headSize: p.headSize, defaultTheta: defaultTheta, factors: tensors["rope_freqs.weight"])
    try checkVariant(keys)
    switch keys.configuration {
    case .huggingFace:
      p.slidingWindow = try slidingWindow(keys, p.blockCount)
      p.tiesEmbeddings = keys.json("tie_word_embeddings")?.boolValue ?? false
      if p.tiesEmbeddings { try tensors.checkTie(output: "lm_head.weight", embedding: "model.embed_tokens.weight") }
    case .gguf:
      p.slidingWindow = try keys.size("", "attention.sliding_window").flatMap { $0 > 0 ? $0 : nil }
      p.tiesEmbeddings = tensors["output.weight"] == nil
    }
    p.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
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
    if mixesExperts == false, let experts = try keys.size("num_local_experts", "expert_count"), experts > 0 {
      throw keys.unsupported("model.experts", "the model is a mixture of \(experts) experts")
    }
    if let activation = keys.json("hidden_act")?.stringValue, activation != "silu" {
      throw keys.unsupported("model.activation", "the activation '\(activation)' is not supported")
    }
  }

  /// Experts of all blocks together; published models have some ten thousand.
  private var largestExpertCount: Int { 1 << 17 }

  /// Experts and how many of them a token visits.
  private func readExperts(_ keys: ConfigurationKeys, _ p: inout HyperParameters) throws(Failure) {
    guard let count = try keys.size("num_local_experts", "expert_count"), count > 0 else {
      if mixesExperts == nil { return }
      throw keys.missing("num_local_experts", "expert_count")
    }
    let used = try keys.positiveSize("num_experts_per_tok", "expert_used_count")
    guard used <= count else {
      throw Failure(.data, "model.expert-count", "a token cannot visit \(used) of \(count) experts", file: keys.path)
    }
    guard count <= largestExpertCount / p.blockCount else {
      throw keys.unsupported("model.expert-count", "\(p.blockCount) blocks of \(count) experts are more than \(largestExpertCount) experts")
    }
    p.expertCount = count
    p.expertsPerToken = used
  }

  // MARK: Graph

  private func graph(_ p: HyperParameters) -> BlockGraph {
    var linears: [(layer: Layer, input: Site)] = [
      (.query, .attentionInput), (.key, .attentionInput), (.value, .attentionInput), (.attentionOutput, .attentionOutput),
    ]
    var folds = [
      Fold(site: .attentionInput, producer: .norm(.attentionNorm)),
      Fold(
        site: .attentionOutput, producer: .valueRows(.value, queryHeads: p.headCount, keyValueHeads: p.keyValueHeadCount)),
    ]
    let experts = 0..<p.expertCount
    folds.append(
      Fold(site: .feedForwardInput, dependents: experts.map { .expertInput($0) }, producer: .norm(.feedForwardNorm)))
    if experts.isEmpty {
      linears += [(.gate, .feedForwardInput), (.up, .feedForwardInput), (.down, .feedForwardOutput)]
      folds.append(Fold(site: .feedForwardOutput, producer: .rows(.up)))
    } else {
      linears.append((.router, .feedForwardInput))
      for e in experts { linears += [(Layer(.gate, expert: e), .expertInput(e)), (Layer(.up, expert: e), .expertInput(e))] }
      for e in experts { linears.append((Layer(.down, expert: e), .expertOutput(e))) }
      folds += experts.map { Fold(site: .expertOutput($0), producer: .rows(Layer(.up, expert: $0))) }
    }
    return BlockGraph(linears: linears, folds: folds)
  }
}
