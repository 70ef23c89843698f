import FamilyKit
public import QuantCore

/// Kimi Linear: delta nets whose channels decay each by itself in most blocks, latent attention without positions in the others, and the
/// router of DeepSeek-V3.
///
/// The traps: configurations number blocks from one; kernels of the convolutions have a dimension of one in a folder, and two in a GGUF;
/// a GGUF names matrices of both kinds of blocks alike.
public enum KimiLinear: ModelFamily {
  /// Id of the family.
  public static let id = "kimi-linear"
  /// One sentence for lists.
  public static let summary = "Kimi Linear, delta nets and latent attention, with a mixture of experts"
  /// Paper.
  public static let reference = "arXiv:2510.26692"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["kimi-linear"] : ["KimiLinearForCausalLM"] }

  /// What was read from the configuration.
  private struct Facts {
    var numbers: DecoderNumbers
    var latent: LatentNumbers
    var delta: GatedDeltaNet
    /// Which blocks have an attention.
    var attends: [Bool]
    var experts: RoutedExperts
    /// The base that a configuration states for an embedding that nothing uses.
    var theta: Double?
    var statedHeadSize: Int?
  }

  private static let defaultLatent: LatentNumbers = {
    var n = LatentNumbers()
    (n.rank, n.plainSize, n.rotarySize, n.valueSize) = (512, 128, 64, 128)
    return n
  }()

  private static let defaultExperts: RoutedExperts = {
    var experts = RoutedExperts(routing: NormedMixture.routing(scale: 2.446))
    (experts.denseBlocks, experts.sharedCount) = (1, 1)
    return experts
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      var attention = facts.latent.attention(width: n.hiddenSize, headCount: n.headCount)
      attention.isRotated = false
      let first: any Part = facts.attends[block] ? attention : facts.delta
      let second: any Part = block >= facts.experts.denseBlocks ? facts.experts.mixture(width: n.hiddenSize) : n.feedForward()
      return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), first), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
    }
    decoder.names = names(facts, tensors)
    var model = try decoder.describe()
    if facts.latent.queryRank != nil {
      model.obstacles[.gguf] = "llama.cpp has no query latent in 'kimi-linear', but this model has one"
    } else {
      model.configurations[.gguf] = stored(facts)
    }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  // MARK: Names

  private static func names(_ facts: Facts, _ tensors: Checkpoint) -> TensorNames {
    func named(_ name: String) -> NamedPlace { NamedPlace("self_attn." + name) }
    let part = facts.delta, fused = named("kv_b_proj").ordered(.headsByTurns)
    let channels = part.valueHeadCount * part.valueSize, size = part.kernelSize
    // Older folders have two dimensions.
    let isShort = tensors.tensors.contains { $0.name.hasSuffix(".q_conv1d.weight") && $0.shape.count == 2 }
    func kernel(_ role: TensorRole, _ letter: String) -> TensorName {
      TensorName(
        role, named("\(letter)_conv1d").shaped(isShort ? [channels, size] : [channels, 1, size]),
        NamedPlace("ssm_conv1d_\(letter)").shaped([1, channels, 1, size]))
    }
    // transformers 5 saves dense networks under the name of mixtures.
    let dense = tensors.tensors.contains { $0.name.hasSuffix(".block_sparse_moe.gate_proj.weight") } ? "block_sparse_moe" : "mlp"
    var names = TensorNames.llama
    names.rename(
      TensorName(.gate, NamedPlace(dense + ".gate_proj"), "ffn_gate"), TensorName(.up, NamedPlace(dense + ".up_proj"), "ffn_up"),
      TensorName(.down, NamedPlace(dense + ".down_proj"), "ffn_down"),
      TensorName(.key, fused, NamedPlace("attn_k_b").stackedByHeads.transposed),
      TensorName(.value, fused, NamedPlace("attn_v_b").stackedByHeads))
    names.insert(
      TensorName(.latent, named("kv_a_proj_with_mqa"), "attn_kv_a_mqa"), TensorName(.latentNorm, named("kv_a_layernorm"), "attn_kv_a_norm"),
      after: .query)
    names.insert(
      [
        TensorName(.deltaQuery, named("q_proj"), "attn_q"), TensorName(.deltaKey, named("k_proj"), "attn_k"),
        TensorName(.deltaValue, named("v_proj"), "attn_v"), kernel(.queryConvolution, "q"), kernel(.keyConvolution, "k"),
        kernel(.valueConvolution, "v"), TensorName(.deltaDecayLatent, named("f_a_proj"), "ssm_f_a"),
        TensorName(.deltaDecay, named("f_b_proj"), "ssm_f_b"), TensorName(.deltaWrite, named("b_proj"), "ssm_beta"),
        TensorName(
          .decayRate, named("A_log").named(suffix: "").shaped([1, 1, part.valueHeadCount, 1]).storing(.negatedExponential),
          NamedPlace("ssm_a").named(suffix: "").shaped([1, 1, part.valueHeadCount, 1])),
        TensorName(.stepBias, named("dt_bias").named(suffix: ""), NamedPlace("ssm_dt.bias").named(suffix: "")),
        TensorName(.deltaGateLatent, named("g_a_proj"), "ssm_g_a"), TensorName(.deltaGate, named("g_b_proj"), "ssm_g_b"),
        TensorName(.mixerNorm, named("o_norm"), "ssm_norm"), TensorName(.mixerOutput, named("o_proj"), "attn_output"),
      ], after: .attentionNorm)
    names.renameExpertsAsMixtral()
    names.insertRouted(
      correction: "block_sparse_moe.gate.e_score_correction_bias", shared: "block_sparse_moe.shared_experts")
    return names
  }

  // MARK: Reading

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var n = DecoderNumbers()
    n.hiddenSize = try keys.positiveSize("hidden_size", "embedding_length")
    n.blockCount = try keys.positiveSize("num_hidden_layers", "block_count")
    try keys.check(blockCount: n.blockCount, in: tensors)
    n.headCount = try keys.positiveSize("num_attention_heads", "attention.head_count")
    n.keyValueHeadCount = n.headCount
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    let length = keys.json("model_max_length") == nil ? "max_position_embeddings" : "model_max_length"
    n.contextLength = try keys.size(length, "context_length") ?? 0
    n.normEpsilon = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? 1e-5
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "silu")
    try keys.refuse("mla_use_nope", when: false, "positions in latent attention are not supported in this architecture")
    try keys.refuse("attention_bias", when: true, "biases of the attention are not supported in this architecture")
    if let value = keys.json("moe_router_activation_func")?.stringValue, value != "sigmoid" {
      throw keys.unsupported("model.variant", "'moe_router_activation_func' is '\(value)'; only 'sigmoid' is supported")
    }
    let latent = try keys.latentNumbers(defaults: defaultLatent, defaultTheta: 10_000, normEpsilon: n.normEpsilon)
    n.headSize = latent.keySize
    return Facts(
      numbers: n, latent: latent, delta: try delta(keys, n, tensors), attends: try attentionBlocks(keys, n.blockCount),
      experts: try experts(keys, n, tensors), theta: try keys.number("rope_theta", "rope.freq_base"),
      statedHeadSize: try keys.size("head_dim", "attention.value_length"))
  }

  private static func experts(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ tensors: Checkpoint) throws(Failure) -> RoutedExperts {
    let used = keys.json("num_experts_per_token") == nil ? "num_experts_per_tok" : "num_experts_per_token"
    var experts = try keys.routedExperts(
      defaults: defaultExperts, blocks: n.blockCount, tensors: tensors,
      keys: ("num_experts", "num_shared_experts", "routed_scaling_factor"),
      used: used, groups: "num_expert_group")
    try keys.refuse("moe_renormalize", when: false, "weights of experts that are not divided by their sum are not supported")
    experts.routing.weights = .normalisedSigmoid
    return experts
  }

  private static func delta(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ tensors: Checkpoint) throws(Failure) -> GatedDeltaNet {
    // Beside those that transformers saves; `head_dim` means something else there.
    let own = ConfigurationKeys(.huggingFace(keys.json("linear_attn_config") ?? .null), path: keys.path)
    func size(_ key: String, _ flat: String, _ gguf: String, _ value: Int) throws(Failure) -> Int {
      let size = try own.json(key) == nil ? keys.size(flat, gguf) ?? value : own.size(key, "") ?? value
      guard size > 0 else { throw keys.bad(keys.name(flat, gguf), "is 0") }
      return size
    }
    let headSize = try size("head_dim", "linear_head_dim", "kda.head_dim", 128)
    // llama.cpp assumes as many heads as those of the attention.
    let heads = keys.isStored ? n.headCount : try size("num_heads", "linear_num_heads", "", 32)
    var part = GatedDeltaNet(
      width: n.hiddenSize, keyHeadCount: heads, valueHeadCount: heads, keySize: headSize, valueSize: headSize,
      kernelSize: try size("short_conv_kernel_size", "linear_conv_kernel_dim", "ssm.conv_kernel", 4),
      norm: n.rootMeanSquareNorm(.mixerNorm))
    part.latentSize = headSize
    (part.decaysChannels, part.hasLogisticGate, part.hasSeparateKernels) = (true, true, true)
    return part
  }

  /// Which blocks have an attention: a folder lists their numbers, from one on, or names the kind of each block.
  private static func attentionBlocks(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Bool] {
    guard !keys.isStored, let listed = keys.json("linear_attn_config")?["full_attn_layers"]?.arrayValue else {
      return try keys.attentionBlocks(blocks, others: ["linear_attention"]) { $0 != 0 && $0.isMultiple(of: 4) }
    }
    let numbers = Set(listed.compactMap(\.intValue))
    return (1...blocks).map { numbers.contains($0) }
  }

  // MARK: Stating

  private static func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers, experts = facts.experts, latent = facts.latent
    var stored = GGUFKeys("kimi-linear")
    stored.setCommon(
      n, rope: facts.theta.map { Rope(theta: $0, dimension: n.headSize) }, experts: (experts.count, experts.routing.expertsPerToken),
      statesHeadSize: false)
    stored.setKeyValueHeads(1, in: facts.attends)
    stored.set("expert_group_used_count", experts.routing.groups?.chosen ?? 1)
    stored.set("expert_gating_func", RoutedExperts.sigmoid)
    stored.set("vocab_size", n.vocabularySize)
    stored.set("ssm.conv_kernel", facts.delta.kernelSize)
    stored.set("kda.head_dim", facts.delta.keySize)
    stored.set("attention.kv_lora_rank", latent.rank)
    stored.set("rope.dimension_count", latent.rotarySize)
    stored.set("attention.key_length", latent.rank + latent.rotarySize)
    if let size = facts.statedHeadSize { stored.set("attention.value_length", size) }
    stored.set("attention.key_length_mla", latent.keySize)
    stored.set("attention.value_length_mla", latent.valueSize)
    stored.set("expert_feed_forward_length", experts.innerSize)
    stored.set("expert_shared_count", experts.sharedCount)
    stored.set("leading_dense_block_count", experts.denseBlocks)
    stored.set("expert_weights_scale", Double(experts.routing.scale))
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers, experts = facts.experts, latent = facts.latent
    var stated = HuggingFaceKeys("KimiLinearForCausalLM", modelType: "kimi_linear")
    let blocks = facts.attends.indices
    stated.set("hidden_act", .string("silu"))
    stated.set("hidden_size", n.hiddenSize)
    stated.set("intermediate_size", n.feedForwardSize)
    stated.set("num_hidden_layers", n.blockCount)
    stated.set("num_attention_heads", n.headCount)
    stated.set("num_key_value_heads", n.headCount)
    if let size = facts.statedHeadSize { stated.set("head_dim", size) }
    stated.set("q_lora_rank", latent.queryRank.map { .int($0) } ?? .null)
    stated.set("kv_lora_rank", latent.rank)
    stated.set("qk_nope_head_dim", latent.plainSize)
    stated.set("qk_rope_head_dim", latent.rotarySize)
    stated.set("v_head_dim", latent.valueSize)
    stated.set("mla_use_nope", true)
    stated.set(
      "linear_attn_config",
      .object([
        .init("full_attn_layers", .array(blocks.filter { facts.attends[$0] }.map { .int($0 + 1) })),
        .init("kda_layers", .array(blocks.filter { !facts.attends[$0] }.map { .int($0 + 1) })),
        .init("head_dim", .int(facts.delta.keySize)), .init("num_heads", .int(facts.delta.keyHeadCount)),
        .init("short_conv_kernel_size", .int(facts.delta.kernelSize)),
      ]))
    stated.set("num_experts", experts.count)
    stated.set("num_experts_per_token", experts.routing.expertsPerToken)
    stated.set("num_shared_experts", experts.sharedCount)
    stated.set("num_expert_group", experts.routing.groups?.count ?? 1)
    stated.set("topk_group", experts.routing.groups?.chosen ?? 1)
    stated.set("moe_intermediate_size", experts.innerSize)
    stated.set("moe_layer_freq", 1)
    stated.set("moe_renormalize", true)
    stated.set("moe_router_activation_func", .string("sigmoid"))
    stated.set("first_k_dense_replace", experts.denseBlocks)
    stated.set("routed_scaling_factor", Double("\(experts.routing.scale)") ?? Double(experts.routing.scale))
    stated.set("model_max_length", n.contextLength)
    stated.set("vocab_size", n.vocabularySize)
    stated.set("rms_norm_eps", n.normEpsilon)
    if let theta = facts.theta { stated.set("rope_theta", theta) }
    stated.set("tie_word_embeddings", n.tiesEmbeddings)
    return stated.configuration
  }
}
