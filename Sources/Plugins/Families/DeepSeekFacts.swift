import FamilyKit
import QuantCore

/// What the configuration of a model like DeepSeek-V3 states, and the equivalent configurations in other formats.
struct DeepSeekFacts {
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

  /// What the classes of transformers assume for absent keys.
  private static var defaultLatent: LatentNumbers {
    var n = LatentNumbers()
    (n.rank, n.queryRank, n.plainSize, n.rotarySize, n.valueSize) = (512, 1536, 128, 64, 128)
    return n
  }
  private static var defaultExperts: RoutedExperts {
    var e = RoutedExperts(
      routing: ExpertRouting(
        expertsPerToken: 8, weights: .normalisedSigmoid, hasCorrection: true,
        groups: ExpertRouting.Groups(count: 8, chosen: 4, scoredBy: 2), scale: 2.5))
    (e.denseBlocks, e.sharedCount) = (3, 1)
    return e
  }

  init(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) {
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
    n.normEpsilon = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? 1e-6
    try keys.refuseActivations(otherThan: "silu")
    n.statesHeadSize = keys.json("head_dim") != nil
    latent = try keys.latentNumbers(defaults: DeepSeekFacts.defaultLatent, defaultTheta: 10000, normEpsilon: n.normEpsilon)
    n.headSize = latent.keySize
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    if !keys.isStored || keys.metadata("expert_count") != nil {
      experts = try keys.routedExperts(defaults: DeepSeekFacts.defaultExperts, blocks: n.blockCount, tensors: tensors)
    }
    if keys.json("attention_bias")?.boolValue == true {
      biased = latent.queryRank == nil ? [.latent, .attentionOutput] : [.queryLatent, .latent, .attentionOutput]
    }
    numbers = n
  }

  /// Whether llama.cpp computes what the model computes.
  var isOfLlamaCpp: Bool { latent.isOfLlamaCpp && biased.isEmpty && (latent.queryRank == nil) == isReadWithoutQueryLatent }

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
    var keys = GGUFKeys("deepseek2")
    keys.setCommon(
      n, rope: rope, experts: experts.map { ($0.count, $0.routing.expertsPerToken) }, routing: experts, statesHeadSize: n.statesHeadSize)
    keys.set("leading_dense_block_count", experts.map { min($0.denseBlocks, n.blockCount) } ?? n.blockCount)
    keys.set("vocab_size", n.vocabularySize)
    keys.setLatent(latent)
    if let experts { keys.setRouted(experts) }
    keys.set("rope.dimension_count", latent.rotarySize)
    if case .yarn = rope.scaling, let magnitude = latent.magnitudeOfAll { keys.set("rope.scaling.yarn_log_multiplier", 0.1 * magnitude) }
    return keys
  }

  /// Nil for models of other classes, which have the same architecture name in a GGUF.
  var huggingFaceConfiguration: JSON? {
    guard let experts, experts.isSigmoid, experts.routing.hasCorrection, experts.sharedCount > 0, let scaling = latent.huggingFaceScaling
    else { return nil }
    let n = numbers
    return .object([
      .init("architectures", .array([.string("DeepseekV3ForCausalLM")])), .init("model_type", .string("deepseek_v3")),
      .init("hidden_act", .string("silu")), .init("hidden_size", .int(n.hiddenSize)), .init("intermediate_size", .int(n.feedForwardSize)),
      .init("moe_intermediate_size", .int(experts.innerSize)), .init("num_hidden_layers", .int(n.blockCount)),
      .init("num_nextn_predict_layers", .int(0)), .init("num_attention_heads", .int(n.headCount)),
      .init("num_key_value_heads", .int(n.headCount)), .init("q_lora_rank", latent.queryRank.map { .int($0) } ?? .null),
      .init("kv_lora_rank", .int(latent.rank)), .init("qk_nope_head_dim", .int(latent.plainSize)),
      .init("qk_rope_head_dim", .int(latent.rotarySize)), .init("v_head_dim", .int(latent.valueSize)),
      .init("first_k_dense_replace", .int(experts.denseBlocks)), .init("moe_layer_freq", .int(1)),
      .init("n_routed_experts", .int(experts.count)), .init("n_shared_experts", .int(experts.sharedCount)),
      .init("num_experts_per_tok", .int(experts.routing.expertsPerToken)), .init("n_group", .int(experts.routing.groups?.count ?? 1)),
      .init("topk_group", .int(experts.routing.groups?.chosen ?? 1)), .init("norm_topk_prob", .bool(experts.isNormalised)),
      .init("routed_scaling_factor", .shortest(Double(experts.routing.scale))), .init("scoring_func", .string("sigmoid")),
      .init("topk_method", .string("noaux_tc")), .init("max_position_embeddings", .int(n.contextLength)),
      .init("vocab_size", .int(n.vocabularySize)), .init("rms_norm_eps", .shortest(n.normEpsilon)),
      .init("rope_theta", .shortest(latent.rope.theta)), .init("rope_scaling", scaling),
      .init("rope_interleave", .bool(latent.rope.pairs == .neighbours)), .init("attention_bias", .bool(!biased.isEmpty)),
      .init("tie_word_embeddings", .bool(n.tiesEmbeddings)),
    ])
  }
}
