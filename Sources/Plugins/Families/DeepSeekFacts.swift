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
    if keys.json("attention_bias")?.boolValue == true {
      biased = latent.queryRank == nil ? [.latent, .attentionOutput] : [.queryLatent, .latent, .attentionOutput]
    }
    numbers = n
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
    guard (latent.queryRank == nil) == isReadWithoutQueryLatent else {
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
    return keys
  }

  /// Nil for models that no class computes.
  var huggingFaceConfiguration: JSON? {
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
        .init("moe_intermediate_size", .int(experts.innerSize)), .init("num_nextn_predict_layers", .int(0)),
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
    if kind != .v2 { members.append(.init("rope_interleave", .bool(latent.rope.pairs == .neighbours))) }
    return .object(
      members + [.init("attention_bias", .bool(!biased.isEmpty)), .init("tie_word_embeddings", .bool(n.tiesEmbeddings))])
  }
}
