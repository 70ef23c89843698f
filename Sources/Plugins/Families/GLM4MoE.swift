import FamilyKit
public import QuantCore

/// GLM-4.5 to 4.7: heads of which a half is rotated, and the router of DeepSeek-V3, whose experts are not in groups. Solar Open has the same
/// blocks with other defaults.
///
/// The traps: a half is rotated even if a `config.json` does not say so, but all in Solar Open, for which llama.cpp's converter must be told;
/// only queries, keys and values have biases. The last block of a
/// folder predicts further tokens and is not part of the model; a GGUF counts it among its blocks.
public enum GLM4MoE: ModelFamily {
  /// Id of the family.
  public static let id = "glm4-moe"
  /// One sentence for lists.
  public static let summary = "GLM-4.5 to 4.7 and Solar Open, mixtures of experts"
  /// Report.
  public static let reference = "arXiv:2508.06471"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["glm4moe"] : ["Glm4MoeForCausalLM", solar] }

  private static let solar = "SolarOpenForCausalLM"

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(TensorName(.feedForwardNorm, "post_attention_layernorm", "post_attention_norm"))
    names.insertRouted()
    return names
  }()

  /// What the class assumes for absent keys.
  private static let defaults: RoutedExperts = {
    var experts = RoutedExperts(routing: ExpertRouting(expertsPerToken: 8, weights: .normalisedSigmoid, hasCorrection: true))
    (experts.denseBlocks, experts.sharedCount) = (1, 1)
    return experts
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var numbers = try keys.llamaNumbers(keyValueHeads: 8, epsilon: 1e-5, tensors: tensors)
    try keys.uncountPredictingBlocks(&numbers)
    let n = numbers
    let isSolar = configuration.architecture == solar
    let rope = try rope(keys, n, isHalf: !isSolar, theta: isSolar ? 1_000_000 : 10_000)
    var defaults = defaults
    if isSolar { defaults.denseBlocks = 0 }
    let experts = try keys.routedExperts(defaults: defaults, blocks: n.blockCount, tensors: tensors)
    let normalisesHeads = keys.hasBiases("use_qk_norm", stored: "blk.0.attn_q_norm.weight", tensors)
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      var attention = n.attention(rope: rope)
      if normalisesHeads { (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm)) }
      let second: any Part = block >= experts.denseBlocks ? experts.mixture(width: n.hiddenSize) : n.feedForward()
      return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
    }
    decoder.names = names
    decoder.predicting = PredictingBlocks(after: n.blockCount, in: tensors, names)
    decoder.bias = { hasBiases && [.query, .key, .value].contains($0.role) ? .always : .never }
    var model = try decoder.describe()
    if experts.routing.groups != nil {
      model.obstacles[.gguf] = "llama.cpp knows no groups of experts in 'glm4moe', but this model has some"
    } else if experts.sharedCount == 0 {
      model.obstacles[.gguf] = "llama.cpp needs a shared expert in 'glm4moe', but this model has none"
    } else if let obstacle = rope.obstacle("glm4moe") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("glm4moe")
      stored.setCommon(
        n, rope: rope, experts: (experts.count, experts.routing.expertsPerToken), routing: experts, statesHeadSize: n.statesHeadSize)
      stored.set("rope.dimension_count", rope.dimension)
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("expert_shared_count", experts.sharedCount)
      stored.set("leading_dense_block_count", experts.denseBlocks)
      stored.set("expert_weights_scale", Double(experts.routing.scale))
      stored.set("expert_weights_norm", .bool(experts.isNormalised))
      stored.setPredicting(model)
      model.configurations[.gguf] = stored.configuration
    }
    model.configurations[.huggingFace] = stated(
      n, rope, experts, normalisesHeads: normalisesHeads, hasBiases: hasBiases, predicting: model.predictingBlockCount)
    return model
  }

  /// - Parameter isHalf: whether a half of each head is rotated if the configuration states nothing.
  private static func rope(_ keys: ConfigurationKeys, _ n: DecoderNumbers, isHalf: Bool, theta: Double) throws(Failure) -> Rope {
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: theta, factors: nil, mayBePartial: true)
    let key = "partial_rotary_factor"
    if isHalf, !keys.isStored, keys.json(key) == nil, keys.json("rope_parameters")?[key] == nil { rope.dimension = n.headSize / 4 * 2 }
    return rope
  }

  private static func stated(
    _ n: DecoderNumbers, _ rope: Rope, _ experts: RoutedExperts, normalisesHeads: Bool, hasBiases: Bool,
    predicting: Int
  ) -> Configuration? {
    var stated = HuggingFaceKeys("Glm4MoeForCausalLM", modelType: "glm4_moe")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return nil }
    if rope.dimension == n.headSize { stated.set("partial_rotary_factor", 1.0) }
    stated.set("attention_bias", hasBiases)
    stated.set("use_qk_norm", normalisesHeads)
    stated.set("n_routed_experts", experts.count)
    stated.set("n_shared_experts", experts.sharedCount)
    stated.set("num_experts_per_tok", experts.routing.expertsPerToken)
    stated.set("moe_intermediate_size", experts.innerSize)
    stated.set("first_k_dense_replace", experts.denseBlocks)
    stated.set("routed_scaling_factor", Double(experts.routing.scale))
    stated.set("norm_topk_prob", experts.isNormalised)
    stated.set("n_group", experts.routing.groups?.count ?? 1)
    stated.set("topk_group", experts.routing.groups?.chosen ?? 1)
    stated.set("num_nextn_predict_layers", predicting)
    return stated.configuration
  }
}
