import FamilyKit
public import QuantCore

/// Cohere's second generation with a mixture of experts: attention and mixture read the same normed states; three blocks with an
/// attention window for each that attends to everything and has no rotary embedding.
///
/// The traps: what the experts and the shared expert give is averaged, not added; blocks without experts, which come first, are rotated
/// even where they have no window.
public enum Cohere2MoE: ModelFamily {
  /// Id of the family.
  public static let id = "cohere2-moe"
  /// One sentence for lists.
  public static let summary = "Cohere's mixtures of experts"
  /// Model card.
  public static let reference = "https://docs.cohere.com/docs/models"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["cohere2moe"] : ["Cohere2MoeForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.block.removeAll { $0.role == .feedForwardNorm }
    names.insertRouted(correction: nil)
    return names
  }()

  /// What was read from the configuration.
  private struct Facts {
    var numbers: DecoderNumbers
    var rope: Rope
    var experts: RoutedExperts
    var window: Int
    var isWindowed: [Bool]
    var norm: Norm.Formula
    var logitScale: Double
    /// The factor of the sum of experts and shared expert.
    var mean: Float
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let (n, experts) = (facts.numbers, facts.experts)
    func norm(_ role: TensorRole) -> Norm { Norm(role, facts.norm, epsilon: n.normEpsilon) }
    var decoder = Decoder(family: id, numbers: n, norm: norm(.outputNorm)) { block in
      let isDense = block < experts.denseBlocks
      var attention = n.attention(rope: facts.isWindowed[block] || isDense ? facts.rope : nil)
      attention.window = facts.isWindowed[block] ? facts.window : nil
      let second: any Part = isDense ? n.feedForward() : experts.mixture(width: n.hiddenSize)
      let input = Norm(.attentionNorm, facts.norm, epsilon: n.normEpsilon)
      return [
        Branch(norm: input, attention), Branch(norm: input, second, scale: isDense ? 1 : facts.mean, readsWithPrevious: true),
      ]
    }
    decoder.names = names
    decoder.normBias = .never
    decoder.head.scale = Float(facts.logitScale)
    decoder.predicting = PredictingBlocks(after: n.blockCount, in: tensors, names)
    var model = try decoder.describe()
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts, model) }
    model.configurations[.huggingFace] = stated(facts, model)
    return model
  }

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var n = try keys.decoderNumbers(defaultHeadSize: 128, tensors: tensors, feedForwardSize: false)
    try keys.uncountPredictingBlocks(&n)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: true, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "silu")
    try keys.refuse("attention_bias", when: true, "biases of the attention are not supported in this architecture")
    let rootMeanSquare = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon")
    let layer = try keys.number("layer_norm_eps", "attention.layer_norm_epsilon")
    n.normEpsilon = rootMeanSquare ?? layer ?? 1e-5
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    rope.pairs = .neighbours
    let isSigmoid = keys.isStored || keys.json("expert_selection_fn")?.stringValue == "sigmoid"
    let routing = ExpertRouting(expertsPerToken: 2, weights: isSigmoid ? .normalisedSigmoid : .softmaxOfChosen)
    var experts = try keys.routedExperts(
      defaults: RoutedExperts(routing: routing), blocks: n.blockCount, tensors: tensors,
      keys: ("num_experts", "num_shared_experts", "routed_scaling_factor"),
      innerSize: "intermediate_size")
    // The class divides the weights of a softmax by their sum whatever the configuration says.
    if !keys.isStored, !experts.isSigmoid { experts.routing.weights = .softmaxOfChosen }
    if experts.denseBlocks > 0, !keys.isStored {
      n.feedForwardSize = try keys.positiveSize("prefix_dense_intermediate_size", "")
      if let period = try keys.size("prefix_dense_sliding_window_pattern", ""), period != 1 {
        throw keys.unsupported("model.variant", "blocks without experts that have attention windows are not supported")
      }
    }
    if experts.denseBlocks == 0 { n.feedForwardSize = experts.innerSize }
    let strategy = keys.json("shared_expert_combination_strategy")?.stringValue ?? "average"
    guard ["average", "sum"].contains(strategy) else {
      throw keys.unsupported("model.variant", "'shared_expert_combination_strategy' is '\(strategy)'")
    }
    guard let window = keys.configuration.json?["sliding_window"] == nil && !keys.isStored ? 4096 : try keys.window() else {
      throw keys.unsupported("model.variant", "a model of this architecture without an attention window is not supported")
    }
    return Facts(
      numbers: n, rope: rope, experts: experts, window: window, isWindowed: try keys.windowedBlocks(n.blockCount, defaultPeriod: 4),
      norm: rootMeanSquare == nil ? .layer : .rootMeanSquare, logitScale: try keys.number("logit_scale", "logit_scale") ?? 0.0625,
      mean: experts.sharedCount > 0 && strategy == "average" ? 0.5 : 1)
  }

  private static func obstacle(_ facts: Facts) -> String? {
    if facts.mean == 1, facts.experts.sharedCount > 0 {
      return "llama.cpp averages experts and the shared one in 'cohere2moe', but this model adds them"
    }
    if facts.rope.scaling != .none { return "llama.cpp scales no rotary embedding in 'cohere2moe', but this model does" }
    return nil
  }

  private static func stored(_ facts: Facts, _ model: ModelDescription) -> Configuration {
    let experts = facts.experts
    var stored = GGUFKeys("cohere2moe")
    stored.setCommon(
      facts.numbers, rope: facts.rope, layerNorms: facts.norm == .layer, experts: (experts.count, experts.routing.expertsPerToken),
      routing: experts, statesGroups: false, statesHeadSize: true)
    stored.set("logit_scale", facts.logitScale)
    stored.set("attention.sliding_window", facts.window)
    stored.set("attention.sliding_window_pattern", .bools(facts.isWindowed))
    stored.set("vocab_size", facts.numbers.vocabularySize)
    stored.set("expert_feed_forward_length", experts.innerSize)
    stored.set("leading_dense_block_count", experts.denseBlocks)
    stored.set("expert_weights_norm", .bool(experts.isNormalised))
    if experts.sharedCount > 0 {
      stored.set("expert_shared_count", experts.sharedCount)
      stored.set("expert_shared_feed_forward_length", experts.innerSize * experts.sharedCount)
    }
    stored.setPredicting(model)
    stored.set("rope.dimension_count", facts.numbers.headSize)
    stored.set("rope.scaling.type", .string("none"))
    return stored.configuration
  }

  private static func stated(_ facts: Facts, _ model: ModelDescription) -> Configuration? {
    let (n, experts) = (facts.numbers, facts.experts)
    var stated = HuggingFaceKeys("Cohere2MoeForCausalLM", modelType: "cohere2_moe")
    guard
      stated.setCommon(
        n, rope: facts.rope, normEpsilon: facts.norm == .layer ? "layer_norm_eps" : "rms_norm_eps", statesHeadSize: true)
    else { return nil }
    stated.replace("intermediate_size", .int(experts.innerSize))
    if experts.denseBlocks > 0 { stated.set("prefix_dense_intermediate_size", n.feedForwardSize) }
    stated.set("logit_scale", facts.logitScale)
    stated.set("num_experts", experts.count)
    stated.set("num_experts_per_tok", experts.routing.expertsPerToken)
    stated.set("num_shared_experts", experts.sharedCount)
    stated.set("shared_expert_combination_strategy", .string(facts.mean == 1 ? "sum" : "average"))
    stated.set("expert_selection_fn", .string(experts.isSigmoid ? "sigmoid" : "softmax"))
    stated.set("norm_topk_prob", experts.isNormalised)
    stated.set("mlp_layer_types", .array((0..<n.blockCount).map { .string($0 < experts.denseBlocks ? "dense" : "sparse") }))
    if model.predictingBlockCount > 0 { stated.set("num_nextn_predict_layers", model.predictingBlockCount) }
    stated.setWindows(facts.isWindowed.map { $0 ? facts.window : nil })
    return stated.configuration
  }
}
