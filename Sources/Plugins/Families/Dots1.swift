import FamilyKit
public import QuantCore

/// dots.llm1: Qwen3's attention, and the router of DeepSeek-V3.
///
/// The trap: llama.cpp's program assumes as many key-value heads as query heads; its converter omits the function of the router for
/// configurations that transformers saved.
public enum Dots1: ModelFamily {
  /// Id of the family.
  public static let id = "dots1"
  /// One sentence for lists.
  public static let summary = "dots.llm1, a mixture of experts"
  /// Paper.
  public static let reference = "arXiv:2506.05767"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["dots1"] : ["Dots1ForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.insertRouted()
    return names
  }()

  /// What the class assumes for absent keys.
  private static let defaults: RoutedExperts = {
    var routing = NormedMixture.routing(scale: 1)
    routing.weights = .sigmoid
    return RoutedExperts(routing: routing)
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(tensors: tensors)
    let mixture = NormedMixture(
      numbers: n, rope: try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil),
      experts: try keys.routedExperts(defaults: defaults, blocks: n.blockCount, tensors: tensors), windows: try windows(keys, n.blockCount),
      hasBiases: keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors))
    var model = try mixture.describe(id, names)
    let (experts, rope) = (mixture.experts, mixture.rope)

    model.obstacles[.gguf] =
      if mixture.hasBiases {
        "llama.cpp has no biases in 'dots1', but 'attention_bias' of this model is true"
      } else if mixture.windows.contains(where: { $0 != nil }) {
        "llama.cpp has no attention window in 'dots1', but this model has one"
      } else if n.keyValueHeadCount != n.headCount {
        "llama.cpp assumes as many key-value heads as query heads in 'dots1'"
      } else if n.tiesEmbeddings || experts.sharedCount == 0 {
        "llama.cpp needs \(n.tiesEmbeddings ? "an output matrix" : "a shared expert") in 'dots1', but this model has none of its own"
      } else {
        rope.obstacle("dots1")
      }
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("dots1")
      stored.setCommon(
        n, rope: rope, experts: (experts.count, experts.routing.expertsPerToken), routing: experts, statesHeadSize: n.statesHeadSize)
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("leading_dense_block_count", experts.denseBlocks)
      stored.set("expert_shared_count", experts.sharedCount)
      stored.set("expert_weights_scale", Double(experts.routing.scale))
      stored.set("expert_weights_norm", .bool(experts.isNormalised))
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Dots1ForCausalLM", modelType: "dots1")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return model }
    mixture.state(&stated, model, count: "n_routed_experts", shared: "n_shared_experts", scale: "routed_scaling_factor")
    stated.set("attention_bias", mixture.hasBiases)
    stated.set("first_k_dense_replace", experts.denseBlocks)
    stated.set("norm_topk_prob", experts.isNormalised)
    stated.set("n_group", experts.routing.groups?.count ?? 1)
    stated.set("topk_group", experts.routing.groups?.chosen ?? 1)
    stated.set("scoring_func", .string("sigmoid"))
    stated.set("topk_method", .string("noaux_tc"))
    stated.setWindows(mixture.windows)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  /// Blocks from `max_window_layers` on have the window, unless the configuration names the kind of each.
  private static func windows(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int?] {
    let full = [Int?](repeating: nil, count: blocks)
    if keys.isStored { return full }
    let window = keys.configuration.json?["sliding_window"] == nil ? 4096 : try keys.window()
    guard let window else { return full }
    if keys.json("layer_types") != nil { return try keys.windowedBlocks(blocks, defaultPeriod: 0).map { $0 ? window : nil } }
    let first = try keys.size("max_window_layers", "") ?? 62
    return (0..<blocks).map { $0 >= first ? window : nil }
  }
}
