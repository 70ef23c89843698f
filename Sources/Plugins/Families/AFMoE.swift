import FamilyKit
public import QuantCore

/// AFMoE (Trinity): a gate over the mixed values, norms before and after each branch, three blocks with an attention window for each
/// that attends to everything and has no rotary embedding, and the router of DeepSeek-V3.
///
/// The traps: embeddings are multiplied by the root of their width if `mup_enabled` says so, and always in llama.cpp; configurations that
/// transformers saved do not say that the weights of chosen experts are divided by their sum.
public enum AFMoE: ModelFamily {
  /// Id of the family.
  public static let id = "afmoe"
  /// One sentence for lists.
  public static let summary = "AFMoE (Trinity), a mixture of experts with a gated attention"
  /// Report.
  public static let reference = "https://www.arcee.ai/blog/the-trinity-manifesto"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["afmoe"] : ["AfmoeForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.feedForwardNorm, "pre_mlp_layernorm", "ffn_norm"), TensorName(.router, "mlp.router.gate", "ffn_gate_inp"))
    names.insert(TensorName(.attentionGate, "self_attn.gate_proj", "attn_gate"), after: .value)
    names.insert(TensorName(.attentionOutputNorm, "post_attention_layernorm", "post_attention_norm"), after: .attentionOutput)
    names.insertRouted(correction: "mlp.expert_bias")
    names.insert(TensorName(.feedForwardOutputNorm, "post_mlp_layernorm", "post_ffw_norm"), after: .sharedDown)
    return names
  }()
  /// llama.cpp assumes that every such block attends to everything.
  private static let knownPeriod = 4

  /// What the class assumes for absent keys.
  private static let defaults: RoutedExperts = {
    var experts = RoutedExperts(routing: NormedMixture.routing(scale: 1))
    (experts.denseBlocks, experts.sharedCount) = (1, 2)
    return experts
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(headSize: 128, epsilon: 1e-5, tensors: tensors)
    try keys.refuse("attention_bias", when: true, "biases of the attention are not supported in this architecture")
    try keys.refuse("route_norm", when: false, "weights of experts that are not divided by their sum are not supported")
    if let value = keys.json("score_func")?.stringValue, value != "sigmoid" {
      throw keys.unsupported("model.variant", "'score_func' is '\(value)'; only 'sigmoid' is supported")
    }
    guard let window = keys.configuration.json?["sliding_window"] == nil && !keys.isStored ? 1024 : try keys.window() else {
      throw keys.unsupported("model.variant", "a model of this architecture without an attention window is not supported")
    }
    let period = try keys.size("global_attn_every_n_layers", "") ?? knownPeriod
    var experts = try keys.routedExperts(
      defaults: defaults, blocks: n.blockCount, tensors: tensors, keys: ("num_experts", "num_shared_experts", "route_scale"))
    if let dense = try keys.size("num_dense_layers", ""), !keys.isStored { experts.denseBlocks = dense }
    let scalesEmbedding = keys.isStored || keys.json("mup_enabled")?.boolValue ?? false
    let mixture = NormedMixture(
      numbers: n, rope: try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil), experts: experts,
      windows: try keys.windowedBlocks(n.blockCount, defaultPeriod: period).map { $0 ? window : nil }, rotatesOnlyInWindows: true,
      hasGate: true, normsOutputs: true)
    var model = try mixture.describe(id, names) { if scalesEmbedding { $0.embedding.scale = Float(n.hiddenSize).squareRoot() } }

    model.obstacles[.gguf] =
      if !scalesEmbedding {
        "llama.cpp multiplies the embedding by the root of its width in 'afmoe', but 'mup_enabled' of this model is false"
      } else if mixture.windows.indices.contains(where: { (mixture.windows[$0] == nil) != ($0 + 1).isMultiple(of: knownPeriod) }) {
        "llama.cpp assumes that every fourth block of 'afmoe', and only these, has no attention window"
      } else {
        mixture.rope.obstacle("afmoe")
      }
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("afmoe")
      stored.setCommon(
        n, rope: mixture.rope, experts: (experts.count, experts.routing.expertsPerToken), routing: experts, statesGroups: false,
        statesHeadSize: true)
      stored.setRotation(n, mixture.rope)
      stored.set("expert_shared_count", experts.sharedCount)
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("leading_dense_block_count", experts.denseBlocks)
      stored.set("expert_weights_norm", .bool(true))
      stored.set("expert_weights_scale", Double(experts.routing.scale))
      stored.set("attention.sliding_window", window)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("AfmoeForCausalLM", modelType: "afmoe")
    guard experts.isNormalised, experts.routing.groups == nil, stated.setCommon(n, rope: mixture.rope, statesHeadSize: true) else {
      return model
    }
    mixture.state(&stated, model, count: "num_experts", shared: "num_shared_experts", scale: "route_scale")
    stated.set("num_dense_layers", experts.denseBlocks)
    stated.set("route_norm", true)
    stated.set("score_func", .string("sigmoid"))
    stated.set("mup_enabled", scalesEmbedding)
    stated.setWindows(mixture.windows)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
