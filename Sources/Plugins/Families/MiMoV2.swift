import FamilyKit
public import QuantCore

/// MiMo-V2: blocks with an attention window have key-value heads, a base and sinks of their own; heads of values are smaller than those of
/// queries and keys, and values are scaled; the router of DeepSeek-V3 without a shared expert.
///
/// The traps: `sliding_window_size` counts the tokens before the query, `sliding_window` also the query; the blocks that predict further
/// tokens are stored, but no configuration counts them.
public enum MiMoV2: ModelFamily {
  /// Id of the family.
  public static let id = "mimo-v2"
  /// One sentence for lists.
  public static let summary = "MiMo-V2-Flash, a mixture of experts; only the language model"
  /// Report.
  public static let reference = "arXiv:2601.02780"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["mimo2"] : ["MiMoV2FlashForCausalLM"] }

  /// What was read from the configuration.
  private struct Facts {
    var numbers: DecoderNumbers
    var valueSize: Int
    var valueScale: Double
    /// Of blocks that attend to everything, and of blocks with a window.
    var rope: Rope
    var localTheta: Double
    var localHeads: Int
    var windows: [Int?]
    /// What a configuration calls the window.
    var statedWindow: Int
    var hasSinks: Bool
    var hasLocalSinks: Bool
    var experts: RoutedExperts
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.insert(
      TensorName(.sinks, NamedPlace("self_attn.attention_sink_bias").named(suffix: ""), "attn_sinks"), after: .attentionOutput)
    names.insertRouted(shared: nil)
    return names
  }()

  private static let defaults = RoutedExperts(routing: NormedMixture.routing(scale: 1))

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let second: any Part = block >= facts.experts.denseBlocks ? facts.experts.mixture(width: n.hiddenSize) : n.feedForward()
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention(facts, block)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second),
      ]
    }
    decoder.names = names
    var model = try decoder.describe()
    if tensors.naming == .huggingFace {
      model.predictionParts = ["model.mtp."]
    } else if let further = ConfigurationKeys(configuration, path: tensors.path).metadata("nextn_predict_layers")?.intValue, further < 64 {
      model.predictionParts = (0..<max(0, further)).map { "blk.\(n.blockCount + $0)." }
    }
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts) }
    if facts.windows.contains(where: { $0 != nil && $0 != facts.statedWindow }) {
      model.cautions[.gguf, default: []].append(
        "llama.cpp counts the query among the \(facts.statedWindow) tokens of a window of 'mimo2', but this model sees one more")
    }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  private static func attention(_ facts: Facts, _ block: Int) -> Attention {
    let window = facts.windows[block]
    var attention = facts.numbers.attention(
      rope: window == nil ? facts.rope : Rope(theta: facts.localTheta, dimension: facts.rope.dimension))
    attention.window = window
    if window != nil { attention.keyValueHeadCount = facts.localHeads }
    attention.valueHeadSize = facts.valueSize
    attention.valueScale = Float(facts.valueScale)
    attention.hasSinks = window == nil ? facts.hasSinks : facts.hasLocalSinks
    return attention
  }

  // MARK: Reading

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var n = try keys.decoderNumbers(
      defaultHeadSize: 192, defaultNormEpsilon: try keys.number("layernorm_epsilon", "") ?? 1e-5, tensors: tensors, mayDiffer: true,
      valuesMayDiffer: true)
    try keys.uncountPredictingBlocks(&n)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "silu")
    try keys.refuse("attention_bias", when: true, "biases of the attention are not supported in this architecture")
    let windowed = try keys.windowedBlocksOfMiMo(n.blockCount)
    let heads = try headCounts(keys, n, windowed)
    n.keyValueHeadCount = heads.all
    var experts = try keys.routedExperts(
      defaults: defaults, blocks: n.blockCount, tensors: tensors, keys: ("n_routed_experts", "", "routed_scaling_factor"))
    guard keys.isStored || experts.isNormalised else {
      throw keys.unsupported("model.variant", "weights of experts that are not divided by their sum are not supported")
    }
    experts.routing.weights = .normalisedSigmoid
    let stated = try keys.size("sliding_window", "attention.sliding_window") ?? 128
    let longer = try keys.size("sliding_window_size", "").map { $0 + 1 }
    guard stated > 0, longer != 1 else { throw keys.bad(keys.name("sliding_window", "attention.sliding_window"), "is 0") }
    let scale = keys.isStored || keys.configuration.json?["attention_value_scale"] != nil ? 1 : 0.707
    return Facts(
      numbers: n, valueSize: try keys.size("v_head_dim", "attention.value_length") ?? 128,
      valueScale: try keys.number("attention_value_scale", "attention.value_scale") ?? scale,
      rope: try keys.rope(
        headSize: n.headSize, defaultTheta: 5_000_000, factors: nil, kind: "full_attention", mayBePartial: true,
        defaultShare: 0.334, mayBeYarn: false),
      localTheta: try localTheta(keys), localHeads: heads.local, windows: windowed.map { $0 ? longer ?? stated : nil },
      statedWindow: stated,
      hasSinks: keys.isStored ? holdsSinks(tensors, windowed, of: false) : keys.json("add_full_attention_sink_bias")?.boolValue ?? false,
      hasLocalSinks: keys.isStored ? holdsSinks(tensors, windowed, of: true) : keys.json("add_swa_attention_sink_bias")?.boolValue ?? true,
      experts: experts)
  }

  /// Whether the first block of a kind has sinks in a GGUF.
  private static func holdsSinks(_ tensors: Checkpoint, _ windowed: [Bool], of kind: Bool) -> Bool {
    windowed.firstIndex(of: kind).map { tensors["blk.\($0).attn_sinks.weight"] != nil } ?? false
  }

  private static func localTheta(_ keys: ConfigurationKeys) throws(Failure) -> Double {
    let parameters = keys.json("rope_parameters")?["sliding_attention"]
    if let stated = parameters?["rope_theta"] { return try keys.positive(stated.doubleValue, "rope_theta") }
    return try keys.number("swa_rope_theta", "rope.freq_base_swa") ?? 10_000
  }

  /// Key-value heads of blocks that attend to everything, and of those with a window.
  private static func headCounts(
    _ keys: ConfigurationKeys, _ n: DecoderNumbers, _ windowed: [Bool]
  ) throws(Failure) -> (all: Int, local: Int) {
    for (key, value) in [("swa_head_dim", n.headSize), ("swa_num_attention_heads", n.headCount)] {
      if let own = try keys.size(key, ""), own != value {
        throw keys.unsupported("model.blocks-differ", "blocks with a window that have other query heads are not supported ('\(key)')")
      }
    }
    if let own = try keys.size("swa_v_head_dim", ""), own != (try keys.size("v_head_dim", "") ?? 128) {
      throw keys.unsupported("model.blocks-differ", "blocks with a window whose values have another size are not supported")
    }
    var heads = (all: n.keyValueHeadCount, local: try keys.size("swa_num_key_value_heads", "") ?? 2 * n.keyValueHeadCount)
    if let stored = try keys.sizes(stored: "attention.head_count_kv", blocks: n.blockCount) {
      let (full, local) = (
        Set(zip(stored, windowed).filter { !$1 }.map(\.0)), Set(zip(stored, windowed).filter { $1 }.map(\.0))
      )
      guard full.count <= 1, local.count <= 1 else {
        throw keys.unsupported("model.blocks-differ", "blocks of one kind with different key-value heads are not supported")
      }
      heads = (full.first ?? local.first ?? 1, local.first ?? full.first ?? 1)
    }
    guard [heads.all, heads.local].allSatisfy({ $0 > 0 && n.headCount.isMultiple(of: $0) }) else {
      throw Failure(
        .data, "model.head-count", "\(n.headCount) attention heads cannot share \(heads.all) and \(heads.local) key-value heads",
        file: keys.path)
    }
    return heads
  }

  // MARK: Stating

  private static func obstacle(_ facts: Facts) -> String? {
    if facts.numbers.tiesEmbeddings { return "llama.cpp needs an output matrix in 'mimo2', but this model has none of its own" }
    if facts.experts.routing.scale != 1 || facts.experts.routing.groups != nil {
      return "llama.cpp has neither groups of experts nor a factor of their weights in 'mimo2', but this model does"
    }
    return facts.rope.obstacle("mimo2")
  }

  private static func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers, experts = facts.experts
    var stored = GGUFKeys("mimo2")
    stored.setCommon(
      n, rope: facts.rope, localTheta: facts.localTheta, experts: (experts.count, experts.routing.expertsPerToken), routing: experts,
      statesHeadSize: true)
    stored.set("attention.head_count_kv", .i32s(facts.windows.map { Int32(clamping: $0 == nil ? n.keyValueHeadCount : facts.localHeads) }))
    stored.set("attention.sliding_window", facts.statedWindow)
    stored.set("attention.sliding_window_pattern", .i32s(facts.windows.map { $0 == nil ? 0 : 1 }))
    stored.set("attention.value_length", facts.valueSize)
    stored.set("expert_feed_forward_length", experts.innerSize)
    stored.set("rope.dimension_count", facts.rope.dimension)
    stored.keepLast("attention.layer_norm_rms_epsilon")
    if facts.valueScale != 1 { stored.set("attention.value_scale", facts.valueScale) }
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers, experts = facts.experts
    var stated = HuggingFaceKeys("MiMoV2FlashForCausalLM", modelType: "mimo_v2_flash")
    guard stated.setCommon(n, rope: facts.rope, normEpsilon: "layernorm_epsilon", statesHeadSize: true) else { return nil }
    let window = facts.windows.lazy.compactMap { $0 }.first ?? facts.statedWindow
    stated.set("rms_norm_eps", n.normEpsilon)
    stated.set("v_head_dim", facts.valueSize)
    stated.set("swa_head_dim", n.headSize)
    stated.set("swa_v_head_dim", facts.valueSize)
    stated.set("swa_num_attention_heads", n.headCount)
    stated.set("swa_num_key_value_heads", facts.localHeads)
    stated.set("swa_rope_theta", facts.localTheta)
    let share = facts.rope.share(ofHead: n.headSize) ?? 1
    stated.set(
      "rope_parameters",
      .object(
        [("full_attention", facts.rope.theta), ("sliding_attention", facts.localTheta)].map { kind, theta in
          .init(
            kind,
            .object([
              .init("rope_type", .string("default")), .init("rope_theta", .shortest(theta)),
              .init("partial_rotary_factor", .shortest(share)),
            ]))
        }))
    stated.set("attention_bias", false)
    stated.set("attention_value_scale", facts.valueScale)
    stated.set("add_swa_attention_sink_bias", facts.hasLocalSinks)
    stated.set("add_full_attention_sink_bias", facts.hasSinks)
    stated.set("hybrid_layer_pattern", .array(facts.windows.map { .int($0 == nil ? 0 : 1) }))
    stated.set("moe_layer_freq", .array(facts.windows.indices.map { .int($0 < experts.denseBlocks ? 0 : 1) }))
    stated.set("mlp_layer_types", .array(facts.windows.indices.map { .string($0 < experts.denseBlocks ? "dense" : "sparse") }))
    stated.set("n_routed_experts", experts.count)
    stated.set("num_experts_per_tok", experts.routing.expertsPerToken)
    stated.set("moe_intermediate_size", experts.innerSize)
    stated.set("norm_topk_prob", true)
    stated.set("n_group", experts.routing.groups?.count ?? 1)
    stated.set("topk_group", experts.routing.groups?.chosen ?? 1)
    stated.set("routed_scaling_factor", Double(experts.routing.scale))
    stated.set("scoring_func", .string("sigmoid"))
    stated.set("topk_method", .string("noaux_tc"))
    stated.setWindows(facts.windows)
    stated.replace("sliding_window", .int(window))
    return stated.without("rope_scaling")
  }
}

extension ConfigurationKeys {
  /// Which blocks have the window: as a list of zeros and ones says, else as in `windowedBlocks`.
  fileprivate func windowedBlocksOfMiMo(_ blocks: Int) throws(Failure) -> [Bool] {
    if let stored = try sizes(stored: "attention.sliding_window_pattern", blocks: blocks) { return stored.map { $0 != 0 } }
    if let flags = json("hybrid_layer_pattern")?.arrayValue {
      guard flags.count == blocks else { throw bad("hybrid_layer_pattern", "has \(flags.count) values for \(blocks) blocks") }
      return flags.map { $0.intValue == 1 }
    }
    if json("layer_types") != nil { return try windowedBlocks(blocks, defaultPeriod: 1) }
    return (0..<blocks).map { $0 != 0 && !($0 + 1).isMultiple(of: 6) }
  }
}
