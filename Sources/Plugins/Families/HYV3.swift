import FamilyKit
public import QuantCore

/// Hunyuan 3: every head of Q and K is normalised before the rotary embedding, and the router is that of DeepSeek-V3 without groups.
///
/// The traps: the weights of chosen experts are always divided by their sum; a GGUF does not state how many blocks come before the first
/// with experts, and the correction of the router has no suffix there.
public enum HYV3: ModelFamily {
  /// Id of the family.
  public static let id = "hunyuan3"
  /// One sentence for lists.
  public static let summary = "Hunyuan 3, a mixture of experts"
  /// Report.
  public static let reference = "https://github.com/Tencent-Hunyuan"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["hy_v3"] : ["HYV3ForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(TensorName(.router, "mlp.router.gate", "ffn_gate_inp"))
    names.insertRouted(correction: "mlp.expert_bias", shared: "mlp.shared_mlp")
    names.rename(
      TensorName(.routerCorrection, NamedPlace("mlp.expert_bias").named(suffix: ""), NamedPlace("exp_probs_b").named(suffix: "")))
    return names
  }()

  /// What the class assumes for absent keys.
  private static let defaults: RoutedExperts = {
    var experts = RoutedExperts(routing: NormedMixture.routing(scale: 2.826))
    (experts.denseBlocks, experts.sharedCount) = (1, 1)
    return experts
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var n = try keys.llamaNumbers(keyValueHeads: 8, headSize: 128, epsilon: 1e-5, tensors: tensors)
    try keys.uncountPredictingBlocks(&n)
    try keys.refuse("mlp_bias", when: true, "biases of the feed-forward network are not supported")
    for key in ["route_norm", "qk_norm"] { try keys.refuse(key, when: false, "this variant is not supported") }
    let mixture = NormedMixture(
      numbers: n, rope: try keys.rope(headSize: n.headSize, defaultTheta: 11_158_840, factors: nil),
      experts: try keys.routedExperts(
        defaults: defaults, blocks: n.blockCount, tensors: tensors,
        keys: ("num_experts", "num_shared_experts", "router_scaling_factor")),
      windows: [Int?](repeating: nil, count: n.blockCount),
      hasBiases: keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors),
      predicting: PredictingBlocks(after: n.blockCount, in: tensors, names, .furtherBlocks(outputNorm: "final_layernorm")))
    var model = try mixture.describe(id, names)
    let experts = mixture.experts

    if let obstacle = mixture.hasBiases
      ? "llama.cpp has no bias of the attention's output in 'hy_v3', but this model has one" : mixture.rope.obstacle("hy_v3")
    {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("hy_v3")
      stored.setCommon(
        n, rope: mixture.rope, experts: (experts.count, experts.routing.expertsPerToken), statesHeadSize: n.statesHeadSize)
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("expert_shared_feed_forward_length", experts.innerSize * experts.sharedCount)
      stored.set("expert_weights_norm", .bool(experts.isNormalised))
      stored.set("expert_weights_scale", Double(experts.routing.scale))
      stored.set("expert_gating_func", RoutedExperts.sigmoid)
      stored.setPredicting(model)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("HYV3ForCausalLM", modelType: "hy_v3")
    guard experts.isNormalised, experts.routing.groups == nil, stated.setCommon(n, rope: mixture.rope, statesHeadSize: true) else {
      return model
    }
    mixture.state(&stated, model, count: "num_experts", shared: "num_shared_experts", scale: "router_scaling_factor")
    stated.set("attention_bias", mixture.hasBiases)
    stated.set("mlp_layer_types", mixture.kinds)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
