import FamilyKit
public import QuantCore

/// Mellum 2: Qwen3's mixture of experts with attention windows in some blocks, which have a rotary embedding of their own.
///
/// The trap: a GGUF states the base of that embedding, but llama.cpp uses that of the other blocks.
public enum Mellum: ModelFamily {
  /// Id of the family.
  public static let id = "mellum"
  /// One sentence for lists.
  public static let summary = "Mellum 2, a mixture of experts"
  /// Model card.
  public static let reference = "https://huggingface.co/JetBrains/Mellum2-12B-A2.5B-Base"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["mellum"] : ["MellumForCausalLM"] }

  /// What was read from the configuration.
  private struct Facts {
    var numbers: DecoderNumbers
    var rope: Rope
    var localTheta: Double
    var windows: [Int?]
    var experts: (count: Int, used: Int)
    var innerSize: Int
    var isNormalised: Bool
    var hasBiases: Bool
    var dense: Set<Int>
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let window = facts.windows[block]
      var attention = n.attention(rope: window == nil ? facts.rope : Rope(theta: facts.localTheta, dimension: n.headSize))
      attention.window = window
      (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
      let routing = ExpertRouting(expertsPerToken: facts.experts.used, weights: facts.isNormalised ? .softmaxOfChosen : .softmax)
      let second: any Part =
        facts.dense.contains(block)
        ? n.feedForward()
        : MixtureOfExperts(n.feedForward(innerSize: facts.innerSize), expertCount: facts.experts.count, routing: routing)
      return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
    }
    let isStacked = tensors.tensors.contains { $0.name.hasSuffix(".mlp.experts.gate_up_proj") }
    decoder.names = QwenMixture.names(areStacked: isStacked)
    decoder.bias = { facts.hasBiases && $0.kind == .attention ? .always : .never }
    var model = try decoder.describe()
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts) }
    if facts.localTheta != facts.rope.theta, facts.windows.contains(where: { $0 != nil }) {
      model.cautions[.gguf, default: []].append(
        "llama.cpp rotates blocks with windows of 'mellum' by the base of the others, \(facts.rope.theta), not by \(facts.localTheta), so "
          + "logits differ")
    }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    let n = try keys.llamaNumbers(keyValueHeads: 4, headSize: 128, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 500_000, factors: nil, kind: "full_attention", mayBeYarn: true)
    let window = keys.json("sliding_window") == nil && !keys.isStored ? 1024 : try keys.window()
    let isWindowed = try keys.windowedBlocks(n.blockCount, defaultPeriod: 1)
    let count = keys.json("num_experts") == nil ? "num_local_experts" : "num_experts"
    let kinds = keys.json("mlp_layer_types")?.arrayValue ?? []
    return Facts(
      numbers: n, rope: rope, localTheta: try localTheta(keys, rope), windows: isWindowed.map { $0 ? window : nil },
      experts: try keys.experts(count: count, blocks: n.blockCount),
      innerSize: try keys.positiveSize("moe_intermediate_size", "expert_feed_forward_length"),
      isNormalised: keys.isStored || keys.json("norm_topk_prob")?.boolValue ?? true,
      hasBiases: keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors),
      dense: Set(kinds.indices.filter { kinds[$0].stringValue == "dense" }))
  }

  /// The base in blocks with a window.
  private static func localTheta(_ keys: ConfigurationKeys, _ rope: Rope) throws(Failure) -> Double {
    if keys.isStored { return try keys.number("", "rope.freq_base_swa") ?? rope.theta }
    guard let local = keys.json("rope_parameters")?["sliding_attention"] else {
      return keys.json("rope_parameters") == nil && keys.json("rope_theta") == nil ? 10_000 : rope.theta
    }
    guard try keys.scaling(of: local) == .none else {
      throw keys.unsupported("model.rope-scaling", "a scaled rotary embedding in blocks with a window is not supported")
    }
    return try keys.positive(local["rope_theta"]?.doubleValue ?? rope.theta, "rope_theta")
  }

  private static func obstacle(_ facts: Facts) -> String? {
    if facts.numbers.tiesEmbeddings { return "llama.cpp needs an output matrix in 'mellum', but this model has none of its own" }
    if facts.hasBiases { return "llama.cpp has no biases in 'mellum', but this model has some" }
    if !facts.dense.isEmpty { return "llama.cpp needs experts in every block of 'mellum', but this model has blocks without" }
    if !facts.isNormalised { return "llama.cpp divides the weights of chosen experts by their sum in 'mellum', but this model does not" }
    return facts.rope.obstacle("mellum")
  }

  private static func stored(_ facts: Facts) -> Configuration {
    var stored = GGUFKeys("mellum")
    stored.setCommon(facts.numbers, rope: facts.rope, localTheta: facts.localTheta, experts: facts.experts, statesHeadSize: true)
    stored.set("expert_feed_forward_length", facts.innerSize)
    if let window = facts.windows.lazy.compactMap({ $0 }).first {
      stored.set("attention.sliding_window", window)
      stored.set("attention.sliding_window_pattern", .bools(facts.windows.map { $0 != nil }))
    }
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers
    var stated = HuggingFaceKeys("MellumForCausalLM", modelType: "mellum")
    guard stated.setCommon(n, rope: facts.rope, statesHeadSize: true), let scaling = facts.rope.huggingFaceScaling else { return nil }
    let members = scaling.objectValue ?? [.init("rope_type", .string("default"))]
    stated.set(
      "rope_parameters",
      .object([
        .init("full_attention", .object(members + [.init("rope_theta", .shortest(facts.rope.theta))])),
        .init(
          "sliding_attention",
          .object([.init("rope_type", .string("default")), .init("rope_theta", .shortest(facts.localTheta))])),
      ]))
    stated.set("attention_bias", facts.hasBiases)
    stated.set("num_local_experts", facts.experts.count)
    stated.set("num_experts_per_tok", facts.experts.used)
    stated.set("moe_intermediate_size", facts.innerSize)
    stated.set("norm_topk_prob", facts.isNormalised)
    stated.set("mlp_layer_types", .array((0..<n.blockCount).map { .string(facts.dense.contains($0) ? "dense" : "sparse") }))
    stated.setWindows(facts.windows)
    // They are stated by kind of block.
    return stated.without("rope_theta", "rope_scaling")
  }
}
