import FamilyKit
public import QuantCore

/// Nemotron-H and Nemotron 3: one norm and one part per block, which is Mamba-2, an attention without positions, a feed-forward network of
/// squared ReLUs, or a mixture of such experts beside a shared one.
///
/// The traps: a string of letters or a list of names says what a block is; the result of Mamba-2 is normalised over each group.
public enum NemotronH: ModelFamily {
  /// Id of the family.
  public static let id = "nemotron-h"
  /// One sentence for lists.
  public static let summary =
    "Nemotron-H and Nemotron 3: Mamba-2, attention and feed-forward networks in blocks of their own"
  /// Paper.
  public static let reference = "arXiv:2504.03624"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["nemotron_h", "nemotron_h_moe"] : ["NemotronHForCausalLM"]
  }

  private static let mamba = Mamba2Keys(
    heads: "mamba_num_heads", headSize: "mamba_head_dim", groups: "n_groups", stateSize: "ssm_state_size", kernelSize: "conv_kernel",
    convolutionBias: "use_conv_bias", bias: "use_bias")

  /// What a block consists of, by its letter in `hybrid_override_pattern`.
  private enum Kind: Character {
    case mixer = "M"
    case attention = "*"
    case feedForward = "-"
    case experts = "E"

    init?(name: String) {
      switch name {
      case "mamba", "linear_attention": self = .mixer
      case "attention", "full_attention": self = .attention
      case "mlp": self = .feedForward
      case "moe": self = .experts
      default: return nil
      }
    }
  }

  private struct Facts {
    var numbers = DecoderNumbers()
    var kinds: [Kind] = []
    var mixer: Mamba2
    var experts: RoutedExperts?
    /// Channels inside the shared expert.
    var sharedSize = 0
    /// Channels that experts read; nil: those of the hidden states.
    var latentSize: Int?
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try read(keys, tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), part(facts, facts.kinds[block]))]
    }
    decoder.names = names(facts.mixer)
    if facts.experts != nil {
      // An attention and a mixture, each with its norm.
      var names = decoder.names
      names.insert(TensorName(.feedForwardNorm, "norm", "post_attention_norm"), after: .attentionOutput)
      decoder.predicting = PredictingBlocks(
        after: n.blockCount, in: tensors, names, .pieces(prefix: "mtp.", last: 1) { attentionRoles.contains($0) ? 0 : 1 })
      decoder.predictingBranches = [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), part(facts, .attention)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), part(facts, .experts)),
      ]
      decoder.names = names
    }
    var model = try decoder.describe()
    if tensors.naming == .huggingFace { model.predictionParts = ["mtp."] }
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts, model) }
    if facts.mixer.minimumStep > 0 {
      model.cautions[.gguf] = [
        "llama.cpp does not bound the time steps of Mamba-2 from below, so logits differ a little where one is less than "
          + "\(facts.mixer.minimumStep)"
      ]
    }
    model.configurations[.huggingFace] = stated(facts, model)
    return model
  }

  /// Of a block that predicts further tokens, what is in its first piece.
  private static let attentionRoles: Set<TensorRole> = [.attentionNorm, .query, .key, .value, .attentionOutput]

  private static func part(_ facts: Facts, _ kind: Kind) -> any Part {
    let n = facts.numbers
    switch kind {
    case .mixer: return facts.mixer
    case .attention: return n.attention()
    case .feedForward: return n.feedForward(.squaredRelu, isGated: false)
    case .experts:
      guard let experts = facts.experts else { return n.feedForward(.squaredRelu, isGated: false) }
      var expert = n.feedForward(.squaredRelu, innerSize: experts.innerSize, isGated: false)
      expert.width = facts.latentSize ?? n.hiddenSize
      var mixture = MixtureOfExperts(
        expert, expertCount: experts.count, routing: experts.routing,
        shared: facts.sharedSize > 0 ? n.feedForward(.squaredRelu, innerSize: facts.sharedSize, isGated: false) : nil)
      mixture.widthAroundLatent = facts.latentSize.map { _ in n.hiddenSize }
      return mixture
    }
  }

  private static func names(_ mixer: Mamba2) -> TensorNames {
    var names = TensorNames(
      front: [TensorName(.tokenEmbedding, "embeddings", "token_embd")],
      block: [
        TensorName(.attentionNorm, "norm", "attn_norm"),
        TensorName(.query, "mixer.q_proj", NamedPlace("attn_q").ordered(.rotaryPairs)),
        TensorName(.key, "mixer.k_proj", NamedPlace("attn_k").ordered(.rotaryPairs)), TensorName(.value, "mixer.v_proj", "attn_v"),
        TensorName(.attentionOutput, "mixer.o_proj", "attn_output"), TensorName(.up, "mixer.up_proj", "ffn_up"),
        TensorName(.down, "mixer.down_proj", "ffn_down"), TensorName(.router, "mixer.gate", "ffn_gate_inp"),
        TensorName(
          .routerCorrection, NamedPlace("mixer.gate.e_score_correction_bias").named(suffix: ""),
          NamedPlace("exp_probs_b").named(suffix: ".bias")),
        TensorName(.expertLatent, "mixer.fc1_latent_proj", "ffn_latent_down"),
        TensorName(expert: .up, "mixer.experts.*.up_proj", "ffn_up_exps"),
        TensorName(expert: .down, "mixer.experts.*.down_proj", "ffn_down_exps"),
        TensorName(.expertLatentOutput, "mixer.fc2_latent_proj", "ffn_latent_up"),
        TensorName(.sharedUp, "mixer.shared_experts.up_proj", "ffn_up_shexp"),
        TensorName(.sharedDown, "mixer.shared_experts.down_proj", "ffn_down_shexp"),
      ],
      back: [TensorName(.outputNorm, "norm_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
      prefixes: [.huggingFace: "backbone."])
    names.insertMamba2(mixer, module: "mixer", after: .attentionNorm)
    return names
  }

  // MARK: Numbers

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var n = try keys.decoderNumbers(defaultKeyValueHeads: 8, defaultHeadSize: 128, tensors: tensors, feedForwardSize: false)
    try keys.uncountPredictingBlocks(&n)
    n.normEpsilon =
      try keys.number(keys.json("layer_norm_epsilon") == nil ? "norm_eps" : "layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    let embedding = "backbone.embeddings.weight"
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: embedding)
    n.vocabularySize = try keys.vocabularySize(tensors[embedding] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "relu2", key: "mlp_hidden_act")
    try keys.refuseActivations(otherThan: "silu", key: "mamba_hidden_act")
    for key in ["attention_bias", "mlp_bias", "use_bias", "mamba_proj_bias"] {
      try keys.refuse(key, when: true, "biases of linear layers are not supported")
    }
    let defaults = Mamba2(
      width: n.hiddenSize, headCount: 128, headSize: 64, stateSize: 128, groupCount: 8, kernelSize: 4,
      norm: n.rootMeanSquareNorm(.mixerNorm))
    var facts = Facts(mixer: try keys.mamba2(mamba, defaults: defaults, innerSize: nil, tensors: tensors))
    // llama.cpp has no such bound.
    if !keys.isStored { facts.mixer.minimumStep = Float(try keys.number("time_step_min", "") ?? 0.001) }
    facts.kinds = try kinds(keys, n.blockCount, tensors)
    if facts.kinds.contains(.mixer) { n.contextLength = 1 << 20 }
    if facts.kinds.contains(.experts) {
      facts.latentSize = try keys.size("moe_latent_size", "moe_latent_size").flatMap { $0 > 0 ? $0 : nil }
      var experts = RoutedExperts(
        routing: ExpertRouting(expertsPerToken: 0, weights: .normalisedSigmoid, hasCorrection: true))
      (experts.count, experts.routing.expertsPerToken) = try keys.experts(count: "n_routed_experts", blocks: n.blockCount)
      experts.innerSize = try keys.positiveSize("moe_intermediate_size", "expert_feed_forward_length")
      experts.sharedCount = try keys.size("n_shared_experts", "expert_shared_count") ?? 1
      facts.sharedSize = try keys.size("moe_shared_expert_intermediate_size", "expert_shared_feed_forward_length") ?? 0
      experts.routing.scale = try keys.number("routed_scaling_factor", "expert_weights_scale").map { Float($0) } ?? 1
      let isNormalised = keys.json("norm_topk_prob")?.boolValue ?? keys.metadata("expert_weights_norm")?.boolValue ?? true
      experts.routing.weights = isNormalised ? .normalisedSigmoid : .sigmoid
      let groups = try keys.size("n_group", "expert_group_count") ?? 1
      if groups > 1 { throw keys.unsupported("model.variant", "groups of experts are not supported ('n_group')") }
      facts.experts = experts
      n.feedForwardSize = experts.innerSize
    }
    facts.numbers = n
    return facts
  }

  /// As a string of letters or a list of names says; a GGUF shows it by its tensors.
  private static func kinds(_ keys: ConfigurationKeys, _ blocks: Int, _ tensors: Checkpoint) throws(Failure) -> [Kind] {
    if keys.isStored {
      return (0..<blocks).map { block in
        func has(_ name: String) -> Bool { tensors["blk.\(block).\(name).weight"] != nil }
        return has("ssm_in") ? .mixer : has("attn_q") ? .attention : has("ffn_gate_inp") ? .experts : .feedForward
      }
    }
    let kinds: [Kind?]
    let key: String
    if let letters = keys.json("hybrid_override_pattern")?.stringValue {
      (kinds, key) = (letters.map { Kind(rawValue: $0) }, "hybrid_override_pattern")
    } else {
      let names = keys.json("layers_block_type")?.arrayValue ?? []
      (kinds, key) = (names.map { $0.stringValue.flatMap { Kind(name: $0) } }, "layers_block_type")
    }
    guard kinds.count == blocks else { throw keys.bad(key, "has \(kinds.count) kinds for \(blocks) blocks") }
    let known = kinds.compactMap { $0 }
    guard known.count == blocks else { throw keys.bad(key, "names an unknown kind of block") }
    return known
  }

  // MARK: Configurations

  private static func obstacle(_ facts: Facts) -> String? {
    if facts.experts != nil, facts.kinds.contains(.feedForward) {
      return "llama.cpp has no dense feed-forward networks beside experts in 'nemotron_h_moe', but this model has them"
    }
    return nil
  }

  private static func stored(_ facts: Facts, _ model: ModelDescription) -> Configuration {
    let n = facts.numbers
    let further = [Bool](repeating: true, count: model.predictingBlockCount)
    let attends = facts.kinds.map { $0 == .attention } + further
    let feedsForward = facts.kinds.map { [.feedForward, .experts].contains($0) } + further
    var stored = GGUFKeys(facts.experts == nil ? "nemotron_h" : "nemotron_h_moe")
    stored.setCommon(
      n, rope: nil, layerNorms: true, experts: facts.experts.map { ($0.count, $0.routing.expertsPerToken) }, statesHeadSize: false)
    stored.set(
      "feed_forward_length",
      .i32s(feedsForward.map { $0 ? Int32(clamping: n.feedForwardSize) : 0 }))
    stored.setKeyValueHeads(n.keyValueHeadCount, in: attends)
    if facts.experts != nil {
      stored.set("expert_group_count", 1)
      stored.set("expert_group_used_count", 1)
    }
    stored.set("vocab_size", n.vocabularySize)
    stored.set("rope.dimension_count", n.headSize)
    stored.setMamba2(facts.mixer)
    stored.set("rope.scaling.finetuned", .bool(!facts.kinds.contains(.mixer)))
    stored.set("attention.key_length", n.headSize)
    stored.set("attention.value_length", n.headSize)
    if let experts = facts.experts {
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("expert_shared_feed_forward_length", facts.sharedSize)
      stored.set("expert_shared_count", experts.sharedCount)
      stored.set("expert_weights_norm", .bool(experts.isNormalised))
      stored.set("expert_weights_scale", Double(experts.routing.scale))
      if let size = facts.latentSize { stored.set("moe_latent_size", size) }
    }
    stored.setPredicting(model)
    return stored.configuration
  }

  private static func stated(_ facts: Facts, _ model: ModelDescription) -> Configuration? {
    let n = facts.numbers
    var stated = HuggingFaceKeys("NemotronHForCausalLM", modelType: "nemotron_h")
    guard stated.setCommon(n, rope: Rope(theta: 10_000, dimension: n.headSize), normEpsilon: "layer_norm_epsilon", statesHeadSize: true)
    else { return nil }
    stated.set("mlp_hidden_act", .string("relu2"))
    stated.set("mamba_hidden_act", .string("silu"))
    stated.set("hybrid_override_pattern", .string(String(facts.kinds.map(\.rawValue))))
    if model.predictingBlockCount > 0 { stated.set("num_nextn_predict_layers", model.predictingBlockCount) }
    stated.setMamba2(facts.mixer, mamba, hasBiases: false)
    if facts.mixer.minimumStep > 0 { stated.set("time_step_min", Double(facts.mixer.minimumStep)) }
    if let experts = facts.experts {
      stated.set("n_routed_experts", experts.count)
      stated.set("num_experts_per_tok", experts.routing.expertsPerToken)
      stated.set("n_shared_experts", experts.sharedCount)
      stated.set("moe_intermediate_size", experts.innerSize)
      stated.set("moe_shared_expert_intermediate_size", facts.sharedSize)
      stated.set("norm_topk_prob", experts.isNormalised)
      stated.set("routed_scaling_factor", Double(experts.routing.scale))
      stated.set("n_group", 1)
      stated.set("topk_group", 1)
      if let size = facts.latentSize { stated.set("moe_latent_size", size) }
    }
    return stated.configuration
  }
}
