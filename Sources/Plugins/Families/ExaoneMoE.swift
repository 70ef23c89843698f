import FamilyKit
public import QuantCore

/// K-EXAONE: three blocks with an attention window for each block that attends to everything and has no rotary embedding, and the router
/// of DeepSeek-V3.
///
/// The trap: unlike in EXAONE 4, norms come before the branches.
public enum ExaoneMoE: ModelFamily {
  /// Id of the family.
  public static let id = "exaone-moe"
  /// One sentence for lists.
  public static let summary = "K-EXAONE, a mixture of experts"
  /// Report.
  public static let reference = "arXiv:2601.01739"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["exaone-moe"] : ["ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM"]
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.insertRouted(correction: "mlp.e_score_correction_bias")
    return names
  }()

  /// What the class assumes for absent keys.
  private static let defaults: RoutedExperts = {
    var experts = RoutedExperts(routing: NormedMixture.routing(scale: 2.5))
    (experts.denseBlocks, experts.sharedCount) = (1, 1)
    return experts
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var n = try keys.llamaNumbers(keyValueHeads: 32, epsilon: 1e-5, tensors: tensors)
    try keys.uncountPredictingBlocks(&n)
    let window = keys.configuration.json?["sliding_window"] == nil && !keys.isStored ? 4096 : try keys.window()
    let isWindowed = try window.map { _ throws(Failure) in try keys.windowedBlocks(n.blockCount, defaultPeriod: 4) }
    let mixture = NormedMixture(
      numbers: n, rope: try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name]),
      experts: try keys.routedExperts(
        defaults: defaults, blocks: n.blockCount, tensors: tensors,
        keys: ("num_experts", "num_shared_experts", "routed_scaling_factor")),
      windows: (0..<n.blockCount).map { isWindowed?[$0] == true ? window : nil }, rotatesOnlyInWindows: window != nil,
      predicting: PredictingBlocks(after: n.blockCount, in: tensors, names, .apart(prefix: "mtp.")))
    let rope = mixture.rope
    var model = try mixture.describe(id, names) { $0.tabulatedRope = rope }
    let experts = mixture.experts

    model.obstacles[.gguf] = obstacle(mixture, hasWindow: window != nil)
    if model.obstacles[.gguf] == nil, let window {
      var stored = GGUFKeys("exaone-moe")
      stored.setCommon(
        n, rope: rope, experts: (experts.count, experts.routing.expertsPerToken), routing: experts, statesHeadSize: n.statesHeadSize)
      stored.set("vocab_size", n.vocabularySize)
      stored.set("attention.sliding_window", window)
      stored.set("attention.sliding_window_pattern", .bools(mixture.windows.map { $0 != nil }))
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("expert_shared_count", experts.sharedCount)
      stored.set("expert_shared_feed_forward_length", experts.innerSize * experts.sharedCount)
      stored.set("expert_weights_scale", Double(experts.routing.scale))
      stored.set("expert_weights_norm", .bool(experts.isNormalised))
      stored.set("leading_dense_block_count", experts.denseBlocks)
      stored.set("nextn_predict_layers", 0)
      stored.setPredicting(model)
      stored.set("rope.scaling.type", .string("none"))
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("ExaoneMoeForCausalLM", modelType: "exaone_moe")
    guard stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    mixture.state(&stated, model, count: "num_experts", shared: "num_shared_experts", scale: "routed_scaling_factor")
    stated.set("first_k_dense_replace", experts.denseBlocks)
    stated.set("mlp_layer_types", mixture.kinds)
    stated.set("norm_topk_prob", experts.isNormalised)
    stated.set("n_group", experts.routing.groups?.count ?? 1)
    stated.set("topk_group", experts.routing.groups?.chosen ?? 1)
    stated.set("scoring_func", .string("sigmoid"))
    stated.setWindows(mixture.windows)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  private static func obstacle(_ mixture: NormedMixture, hasWindow: Bool) -> String? {
    if !hasWindow { return "llama.cpp needs an attention window in 'exaone-moe', but this model has none" }
    if mixture.numbers.tiesEmbeddings { return "llama.cpp needs an output matrix in 'exaone-moe', but this model ties it to the embedding" }
    if mixture.experts.sharedCount == 0 { return "llama.cpp needs a shared expert in 'exaone-moe', but this model has none" }
    switch mixture.rope.scaling {
    case .none, .llama3, .proportional, .factors: return nil
    default: return "llama.cpp's files of 'exaone-moe' have no scaling of the rotary embedding, but this model has one"
    }
  }
}
