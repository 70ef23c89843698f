import FamilyKit
public import QuantCore

/// Laguna: Qwen3's attention with a gate over the mixed values, windows in three of four blocks, which have a rotary embedding and perhaps
/// query heads of their own, and the router of DeepSeek-V3 beside a shared expert.
///
/// The trap: the gate has a product for each head, or one for each channel; a GGUF shows it only in the shape of the matrix.
public enum Laguna: ModelFamily {
  /// Id of the family.
  public static let id = "laguna"
  /// One sentence for lists.
  public static let summary = "Laguna, a mixture of experts with a gated attention"
  /// Model card.
  public static let reference = "https://huggingface.co/poolside/Laguna-XS.2"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["laguna"] : ["LagunaForCausalLM"] }

  /// What was read from the configuration.
  private struct Facts {
    var numbers: DecoderNumbers
    /// Query heads of each block.
    var heads: [Int]
    /// Of blocks that attend to everything, and of blocks with a window.
    var rope: Rope
    var localRope: Rope
    var windows: [Int?]
    var gatesHeads: [Bool]
    var experts: RoutedExperts
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.insert(TensorName(.attentionGate, "self_attn.g_proj", "attn_gate"), after: .value)
    names.insertRouted(correction: "mlp.experts.e_score_correction_bias", shared: "mlp.shared_expert")
    return names
  }()
  private static let defaults: RoutedExperts = {
    var experts = RoutedExperts(routing: NormedMixture.routing(scale: 1))
    experts.denseBlocks = 1
    return experts
  }()
  /// llama.cpp assumes that the first block of every such period attends to everything, and no other.
  private static let knownPeriod = 4

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let window = facts.windows[block]
      var attention = n.attention(rope: window == nil ? facts.rope : facts.localRope)
      attention.headCount = facts.heads[block]
      attention.window = window
      attention.gate = Attention.Gate(.softplus, isOfHeads: facts.gatesHeads[block])
      (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
      let second: any Part = block >= facts.experts.denseBlocks ? facts.experts.mixture(width: n.hiddenSize) : n.feedForward()
      return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
    }
    decoder.names = names
    var model = try decoder.describe()
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts) }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  // MARK: Reading

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var n = try keys.decoderNumbers(defaultKeyValueHeads: 8, defaultHeadSize: 128, tensors: tensors, mayDiffer: true)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "silu")
    try keys.refuse("attention_bias", when: true, "biases of the attention are not supported in this architecture")
    try keys.refuse("moe_apply_router_weight_on_input", when: true, "weights that multiply what experts read are not supported")
    if let cap = keys.json("moe_router_logit_softcapping")?.doubleValue, cap != 0 {
      throw keys.unsupported("model.variant", "a bound of the router's products is not supported")
    }
    let heads = try headCounts(keys, n)
    let window = keys.json("sliding_window") == nil && !keys.isStored ? 512 : try keys.window()
    let rope = try keys.rope(
      headSize: n.headSize, defaultTheta: 500_000, factors: nil, kind: "full_attention", mayBePartial: true,
      defaultShare: keys.json("rope_parameters") == nil ? 0.5 : 1)
    return Facts(
      numbers: n, heads: heads, rope: rope, localRope: try localRope(keys, n, rope),
      windows: try windowedBlocks(keys, n.blockCount, hasWindow: window != nil).map { $0 ? window : nil },
      gatesHeads: try gatesHeads(keys, heads, n, tensors), experts: try experts(keys, n, tensors))
  }

  private static func experts(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ tensors: Checkpoint) throws(Failure) -> RoutedExperts {
    var experts = try keys.routedExperts(
      defaults: defaults, blocks: n.blockCount, tensors: tensors, keys: ("num_experts", "", "moe_routed_scaling_factor"))
    let key = "shared_expert_intermediate_size", stored = "expert_shared_feed_forward_length"
    let shared = try keys.size(key, stored) ?? experts.innerSize
    guard shared > 0, shared.isMultiple(of: experts.innerSize) else {
      throw keys.bad(keys.name(key, stored), "is not a multiple of the size of an expert")
    }
    experts.sharedCount = shared / experts.innerSize
    guard keys.isStored == false || experts.isNormalised else {
      throw keys.unsupported("model.variant", "weights of experts that are not divided by their sum are not supported")
    }
    experts.routing.weights = .normalisedSigmoid
    return experts
  }

  private static func headCounts(_ keys: ConfigurationKeys, _ n: DecoderNumbers) throws(Failure) -> [Int] {
    var heads = try keys.sizes(stored: "attention.head_count", blocks: n.blockCount) ?? [Int](repeating: n.headCount, count: n.blockCount)
    if let listed = keys.json("num_attention_heads_per_layer")?.arrayValue {
      heads = listed.map { $0.intValue ?? 0 }
      guard heads.count == n.blockCount else {
        throw keys.bad("num_attention_heads_per_layer", "has \(heads.count) values for \(n.blockCount) blocks")
      }
    }
    guard let wrong = heads.first(where: { $0 <= 0 || $0 > 1 << 20 || !$0.isMultiple(of: n.keyValueHeadCount) }) else { return heads }
    throw Failure(
      .data, "model.head-count", "\(wrong) attention heads cannot share \(n.keyValueHeadCount) key-value heads", file: keys.path)
  }

  private static func windowedBlocks(_ keys: ConfigurationKeys, _ blocks: Int, hasWindow: Bool) throws(Failure) -> [Bool] {
    if keys.isStored { return (0..<blocks).map { hasWindow && !$0.isMultiple(of: knownPeriod) } }
    return keys.json("layer_types") == nil ? [Bool](repeating: false, count: blocks) : try keys.windowedBlocks(blocks, defaultPeriod: 1)
  }

  private static func localRope(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ rope: Rope) throws(Failure) -> Rope {
    if keys.isStored {
      let size = try keys.size("", "rope.dimension_count_swa") ?? rope.dimension
      guard size >= 2, size <= n.headSize, size.isMultiple(of: 2) else {
        throw keys.bad(keys.name("", "rope.dimension_count_swa"), "is \(size) of \(n.headSize) dimensions of a head")
      }
      return Rope(theta: try keys.number("", "rope.freq_base_swa") ?? rope.theta, dimension: size)
    }
    let local = try keys.rope(
      headSize: n.headSize, defaultTheta: 10_000, factors: nil, kind: "sliding_attention", mayBePartial: true)
    guard local.scaling == .none else {
      throw keys.unsupported("model.rope-scaling", "a scaled rotary embedding in blocks with a window is not supported")
    }
    return local
  }

  /// Whether the gate of each block has a product for each head, not for each channel.
  private static func gatesHeads(
    _ keys: ConfigurationKeys, _ heads: [Int], _ n: DecoderNumbers, _ tensors: Checkpoint
  ) throws(Failure) -> [Bool] {
    if keys.isStored { return heads.indices.map { tensors["blk.\($0).attn_gate.weight"]?.shape.first == heads[$0] } }
    let isOfHeads = ["per-head", "per_head"], isOfChannels = ["per-element", "per_element"]
    func read(_ value: JSON, _ key: String) throws(Failure) -> Bool {
      if value.boolValue == true || isOfHeads.contains(value.stringValue ?? "") { return true }
      guard isOfChannels.contains(value.stringValue ?? "") else { throw keys.bad(key, "names an unknown kind of gate") }
      return false
    }
    if let list = keys.json("gating_types")?.arrayValue {
      guard list.count == heads.count else { throw keys.bad("gating_types", "has \(list.count) values for \(heads.count) blocks") }
      return try list.map { (kind) throws(Failure) in try read(kind, "gating_types") }
    }
    let all = try read(keys.json("gating") ?? .bool(true), "gating")
    return heads.map { _ in all }
  }

  // MARK: Stating

  private static func obstacle(_ facts: Facts) -> String? {
    if facts.windows.indices.contains(where: { (facts.windows[$0] == nil) != $0.isMultiple(of: knownPeriod) }),
      facts.windows.contains(where: { $0 != nil })
    {
      return "llama.cpp assumes that every fourth block of 'laguna' from the first on, and only these, has no attention window"
    }
    if facts.numbers.tiesEmbeddings { return "llama.cpp needs an output matrix in 'laguna', but this model has none of its own" }
    return facts.rope.obstacle("laguna")
  }

  private static func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers, experts = facts.experts
    var stored = GGUFKeys("laguna")
    stored.setCommon(
      n, rope: facts.rope, localTheta: facts.localRope.theta, experts: (experts.count, experts.routing.expertsPerToken),
      statesHeadSize: true)
    stored.set("vocab_size", n.vocabularySize)
    stored.set("attention.head_count", .i32s(facts.heads.map { Int32(clamping: $0) }))
    if let window = facts.windows.lazy.compactMap({ $0 }).first { stored.set("attention.sliding_window", window) }
    stored.set("expert_feed_forward_length", experts.innerSize)
    stored.set("expert_shared_feed_forward_length", experts.innerSize * experts.sharedCount)
    stored.set("expert_weights_norm", .bool(true))
    stored.set("expert_weights_scale", Double(experts.routing.scale))
    stored.set("expert_gating_func", RoutedExperts.sigmoid)
    stored.set("leading_dense_block_count", experts.denseBlocks)
    stored.set("rope.dimension_count", facts.rope.dimension)
    stored.set("rope.dimension_count_swa", facts.localRope.dimension)
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers, experts = facts.experts
    var stated = HuggingFaceKeys("LagunaForCausalLM", modelType: "laguna")
    guard stated.setCommon(n, rope: facts.rope, statesHeadSize: true) else { return nil }
    stated.set(
      "rope_parameters",
      .object(
        [("full_attention", facts.rope), ("sliding_attention", facts.localRope)].map { kind, rope in
          let members = rope.huggingFaceScaling?.objectValue ?? [.init("rope_type", .string("default"))]
          return .init(
            kind,
            .object(
              members + [
                .init("rope_theta", .shortest(rope.theta)), .init("partial_rotary_factor", .shortest(rope.share(ofHead: n.headSize) ?? 1)),
              ]))
        }))
    stated.set("attention_bias", false)
    let kinds = facts.gatesHeads.map { $0 ? "per-head" : "per-element" }
    stated.set("gating", .string(kinds[0]))
    if Set(kinds).count > 1 { stated.set("gating_types", .array(kinds.map { .string($0) })) }
    stated.set("num_attention_heads_per_layer", .array(facts.heads.map { .int($0) }))
    stated.set("mlp_layer_types", .array(facts.heads.indices.map { .string($0 < experts.denseBlocks ? "dense" : "sparse") }))
    stated.set("num_experts", experts.count)
    stated.set("num_experts_per_tok", experts.routing.expertsPerToken)
    stated.set("moe_intermediate_size", experts.innerSize)
    stated.set("shared_expert_intermediate_size", experts.innerSize * experts.sharedCount)
    stated.set("moe_routed_scaling_factor", Double("\(experts.routing.scale)") ?? Double(experts.routing.scale))
    stated.setWindows(facts.windows)
    // They are stated by kind of block.
    return stated.without("rope_theta", "rope_scaling", "partial_rotary_factor")
  }
}
