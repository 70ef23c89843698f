import FamilyKit
import QuantCore

/// What the configuration of a model like DeepSeek-V3 states, and the equivalent configurations in other formats.
struct DeepSeekFacts {
  /// The class that computes the model; of a GGUF, the first that fits.
  let kind: DeepSeekClass
  var numbers = DecoderNumbers()
  let latent: LatentNumbers
  /// Nil: all blocks have one feed-forward layer.
  var experts: RoutedExperts?
  /// What chooses the tokens of a query; nil: all are seen.
  var indexer: TokenIndexer?
  /// Which blocks choose tokens themselves; the others use the choice of the last such block.
  var choosingBlocks: [Bool] = []
  /// Whether the configuration lists them.
  private var listsChoosingBlocks = false
  /// Linear layers with biases.
  var biased: Set<TensorRole> = []
  /// Whether llama.cpp would read a file as one without a query latent: it decides by the number of blocks.
  private var isReadWithoutQueryLatent: Bool {
    [26, 27].contains(numbers.blockCount) || numbers.blockCount == 48 && numbers.vocabularySize == 128_256
  }

  init(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) {
    let kind = try DeepSeekClass.of(keys, tensors)
    var n = DecoderNumbers()
    n.hiddenSize = try keys.positiveSize("hidden_size", "embedding_length")
    n.blockCount = try keys.positiveSize("num_hidden_layers", "block_count")
    // The block count of a GGUF includes the blocks that predict further tokens.
    if let further = try keys.size("", "nextn_predict_layers"), further < n.blockCount { n.blockCount -= further }
    try keys.check(blockCount: n.blockCount, in: tensors)
    n.headCount = try keys.positiveSize("num_attention_heads", "attention.head_count")
    n.keyValueHeadCount = n.headCount
    if let groups = try keys.size("num_key_value_heads", ""), groups != n.headCount {
      throw keys.unsupported("model.head-count", "latent attention of \(n.headCount) heads and \(groups) key-value heads is not supported")
    }
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 0
    n.normEpsilon = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? kind.epsilon
    try keys.refuseActivations(otherThan: "silu")
    n.statesHeadSize = keys.json("head_dim") != nil
    latent = try keys.latentNumbers(defaults: kind.latent, defaultTheta: 10000, normEpsilon: n.normEpsilon)
    n.headSize = latent.keySize
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: kind.ties, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    if var defaults = kind.experts {
      if kind == .v2 { defaults.routing.groups = try DeepSeekFacts.groups(keys) }
      experts = try keys.routedExperts(defaults: defaults, blocks: n.blockCount, tensors: tensors)
      if kind == .v2, !keys.isStored {
        // Other keys name groups even if the method does not use them.
        if defaults.routing.groups == nil { experts?.routing.groups = nil }
        try keys.refuse("norm_topk_prob", when: true, "expert weights divided by their sum are not supported in this class")
        try keys.refuse("mlp_bias", when: true, "biases of the feed-forward network are not supported")
      }
    }
    self.kind = kind
    if let defaults = kind.indexer { try readIndexer(keys, n, defaults) }
    if keys.json("attention_bias")?.boolValue == true {
      biased = latent.queryRank == nil ? [.latent, .attentionOutput] : [.queryLatent, .latent, .attentionOutput]
    }
    numbers = n
  }

  private mutating func readIndexer(
    _ keys: ConfigurationKeys, _ n: DecoderNumbers, _ defaults: (heads: Int, size: Int, tokens: Int, pairs: Rope.Pairs)
  ) throws(Failure) {
    guard let queryRank = latent.queryRank else {
      throw keys.unsupported("model.latent-attention", "sparse attention is supported only with a query latent")
    }
    func size(_ huggingFace: String, _ gguf: String, _ value: Int) throws(Failure) -> Int {
      let size = try keys.size(huggingFace, "attention.indexer." + gguf) ?? value
      guard size > 0 else { throw keys.bad(keys.name(huggingFace, "attention.indexer." + gguf), "is 0") }
      return size
    }
    var rope = latent.rope
    rope.pairs = defaults.pairs
    let part = TokenIndexer(
      width: n.hiddenSize, queryRank: queryRank, headCount: try size("index_n_heads", "head_count", defaults.heads),
      headSize: try size("index_head_dim", "key_length", defaults.size), tokenCount: try size("index_topk", "top_k", defaults.tokens),
      rope: rope)
    guard part.headSize >= latent.rotarySize else {
      throw keys.bad(keys.name("index_head_dim", "attention.indexer.key_length"), "is less than the rotated channels")
    }
    indexer = part
    choosingBlocks = try keys.choosingBlocks(n.blockCount)
    listsChoosingBlocks =
      keys.json("indexer_types") != nil || keys.metadata("attention.indexer.types") != nil || choosingBlocks.contains(false)
    guard choosingBlocks.first == true else {
      throw keys.bad(keys.name("indexer_types", "attention.indexer.types"), "has no choice of tokens for the first block to use")
    }
  }

  /// The attention of a block.
  /// - Parameter isAlone: whether it uses no choice of tokens of another block.
  func attention(_ block: Int, isAlone: Bool = false) -> LatentAttention {
    var attention = latent.attention(width: numbers.hiddenSize, headCount: numbers.headCount)
    attention.indexer = indexer
    guard !isAlone, indexer != nil, let chooser = choosingBlocks[...block].lastIndex(of: true) else { return attention }
    if chooser != block {
      attention.indexer?.sharing = .takes("\(chooser)")
    } else if block + 1 < choosingBlocks.count, !choosingBlocks[block + 1] {
      attention.indexer?.sharing = .gives("\(block)")
    }
    return attention
  }

  /// Groups, if the method of DeepSeek-V2 uses them: they are scored by their best expert.
  private static func groups(_ keys: ConfigurationKeys) throws(Failure) -> ExpertRouting.Groups? {
    if keys.isStored { return nil }
    switch keys.json("topk_method")?.stringValue ?? "greedy" {
    case "greedy": return nil
    case "group_limited_greedy": return ExpertRouting.Groups(count: 1, chosen: 1, scoredBy: 1)
    case let method: throw keys.unsupported("model.variant", "the choice of experts '\(method)' is not supported in this class")
    }
  }

  /// Why llama.cpp does not compute the model; nil: it does.
  var obstacle: String? {
    let name = kind.ggufArchitecture
    if !biased.isEmpty { return "llama.cpp has no biases in '\(name)', but 'attention_bias' of this model is true" }
    if latent.rope.pairs != .neighbours { return "llama.cpp rotates neighbouring channels in '\(name)', but this model rotates halves" }
    if !latent.isOfLlamaCpp { return "llama.cpp supports YaRN in '\(name)' only if 'mscale' and 'mscale_all_dim' are equal" }
    guard indexer != nil || (latent.queryRank == nil) == isReadWithoutQueryLatent else {
      let has = latent.queryRank == nil ? "has no query latent" : "has a query latent"
      return "llama.cpp goes by the number of blocks whether queries have a latent in '\(name)'; this model of "
        + "\(numbers.blockCount) blocks \(has)"
    }
    return nil
  }

  /// What llama.cpp computes otherwise.
  var cautions: [String] {
    guard experts?.routing.groups?.scoredBy == 1 else { return [] }
    return ["llama.cpp scores a group of experts by its best two, but this model by its best one: some tokens visit other experts"]
  }

  /// As llama.cpp's converter writes them. The converter omits the scoring function if a configuration does not name it; no configuration
  /// saved by transformers names it, and such a file would be run with a softmax.
  var ggufKeys: GGUFKeys {
    var n = numbers
    n.keyValueHeadCount = 1
    var rope = latent.rope
    if case .yarn(var yarn) = rope.scaling {
      yarn.attentionFactor = nil
      rope.scaling = .yarn(yarn)
    }
    var keys = GGUFKeys(kind.ggufArchitecture)
    keys.setCommon(
      n, rope: rope, experts: experts.map { ($0.count, $0.routing.expertsPerToken) }, routing: experts, statesHeadSize: n.statesHeadSize)
    keys.set("leading_dense_block_count", experts.map { min($0.denseBlocks, n.blockCount) } ?? n.blockCount)
    keys.set("vocab_size", n.vocabularySize)
    keys.setLatent(latent)
    if let experts {
      keys.setRouted(experts)
    } else {
      keys.set("expert_feed_forward_length", n.feedForwardSize)
      keys.set("expert_shared_count", 0)
    }
    keys.set("rope.dimension_count", latent.rotarySize)
    if case .yarn = rope.scaling, let magnitude = latent.magnitudeOfAll { keys.set("rope.scaling.yarn_log_multiplier", 0.1 * magnitude) }
    if let temperature = latent.temperature { keys.setTemperature(temperature) }
    if let indexer {
      keys.set("attention.indexer.head_count", indexer.headCount)
      keys.set("attention.indexer.key_length", indexer.headSize)
      keys.set("attention.indexer.top_k", indexer.tokenCount)
      if kind == .glmSparse, listsChoosingBlocks { keys.set("attention.indexer.types", .bools(choosingBlocks)) }
    }
    return keys
  }

  /// Nil for models that no class computes.
  func huggingFaceConfiguration(predicting: Int) -> JSON? {
    guard let scaling = latent.huggingFaceScaling else { return nil }
    let n = numbers
    var members: [JSON.Member] = [
      .init("architectures", .array([.string(kind.architecture)])), .init("model_type", .string(kind.modelType)),
      .init("hidden_act", .string("silu")), .init("hidden_size", .int(n.hiddenSize)), .init("intermediate_size", .int(n.feedForwardSize)),
      .init("num_hidden_layers", .int(n.blockCount)), .init("num_attention_heads", .int(n.headCount)),
      .init("num_key_value_heads", .int(n.headCount)), .init("q_lora_rank", latent.queryRank.map { .int($0) } ?? .null),
      .init("kv_lora_rank", .int(latent.rank)), .init("qk_nope_head_dim", .int(latent.plainSize)),
      .init("qk_rope_head_dim", .int(latent.rotarySize)), .init("v_head_dim", .int(latent.valueSize)),
    ]
    if let experts {
      guard experts.sharedCount > 0, experts.isSigmoid == kind.isSigmoid, experts.routing.hasCorrection == experts.isSigmoid,
        kind != .v2 || !experts.isNormalised
      else { return nil }
      let groups = experts.routing.groups
      let method = kind == .v2 ? groups == nil ? "greedy" : "group_limited_greedy" : "noaux_tc"
      members += [
        .init("moe_intermediate_size", .int(experts.innerSize)), .init("num_nextn_predict_layers", .int(predicting)),
        .init("first_k_dense_replace", .int(experts.denseBlocks)), .init("moe_layer_freq", .int(1)),
        .init("n_routed_experts", .int(experts.count)), .init("n_shared_experts", .int(experts.sharedCount)),
        .init("num_experts_per_tok", .int(experts.routing.expertsPerToken)), .init("n_group", .int(groups?.count ?? 1)),
        .init("topk_group", .int(groups?.chosen ?? 1)), .init("norm_topk_prob", .bool(experts.isNormalised)),
        .init("routed_scaling_factor", .shortest(Double(experts.routing.scale))),
      ]
      if kind != .mistral {
        members += [
          .init("scoring_func", .string(experts.isSigmoid ? "sigmoid" : "softmax")), .init("topk_method", .string(method)),
        ]
      }
    }
    members += [
      .init("max_position_embeddings", .int(n.contextLength)), .init("vocab_size", .int(n.vocabularySize)),
      .init("rms_norm_eps", .shortest(n.normEpsilon)), .init("rope_theta", .shortest(latent.rope.theta)), .init("rope_scaling", scaling),
    ]
    if let indexer {
      members += [
        .init("index_n_heads", .int(indexer.headCount)), .init("index_head_dim", .int(indexer.headSize)),
        .init("index_topk", .int(indexer.tokenCount)),
      ]
      if kind == .glmSparse {
        members.append(.init("indexer_types", .array(choosingBlocks.map { .string($0 ? "full" : "shared") })))
      }
    }
    if kind != .v2, indexer == nil { members.append(.init("rope_interleave", .bool(latent.rope.pairs == .neighbours))) }
    return .object(
      members + [.init("attention_bias", .bool(!biased.isEmpty)), .init("tie_word_embeddings", .bool(n.tiesEmbeddings))])
  }
}

extension ConfigurationKeys {
  /// Which blocks choose the tokens of their queries themselves: as a list says, or a pattern, or a period; all if nothing is stated.
  fileprivate func choosingBlocks(_ blocks: Int) throws(Failure) -> [Bool] {
    if isStored {
      return try sizes(stored: "attention.indexer.types", blocks: blocks)?.map { $0 != 0 } ?? [Bool](repeating: true, count: blocks)
    }
    if let kinds = json("indexer_types")?.arrayValue {
      guard kinds.count == blocks else { throw bad("indexer_types", "has \(kinds.count) values for \(blocks) blocks") }
      return kinds.map { $0.stringValue == "full" }
    }
    if let pattern = json("index_topk_pattern")?.stringValue {
      guard pattern.count == blocks else { throw bad("index_topk_pattern", "has \(pattern.count) letters for \(blocks) blocks") }
      return pattern.map { $0 == "F" }
    }
    let period = max(1, try size("index_topk_freq", "") ?? 1), offset = try size("index_skip_topk_offset", "") ?? 2
    return (0..<blocks).map { max(0, $0 - offset + 1).isMultiple(of: period) }
  }
}
