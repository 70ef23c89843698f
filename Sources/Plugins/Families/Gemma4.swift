import FamilyKit
public import QuantCore

/// Gemma 4: Gemma 3 in which blocks that attend to everything have larger heads, of which they rotate a quarter of the pairs. Models for
/// small devices give each block an embedding of the token of its own, and their last blocks use the keys and values of earlier ones;
/// larger models take keys as values in blocks that attend to everything, or have experts beside the feed-forward network.
///
/// The traps: gains are stored as they are; scores are not scaled; values are normalized without gains; the router reads hidden states
/// through a norm of its own; checkpoints may hold keys and values that nothing reads; newer configurations state the larger heads
/// block by block.
public enum Gemma4: ModelFamily {
  /// Id of the family.
  public static let id = "gemma4"
  /// One sentence for lists.
  public static let summary = "Gemma 4, all sizes, with and without experts; only the language model"
  /// Model card.
  public static let reference = "https://ai.google.dev/gemma/docs/core"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["gemma4"] : ["Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"]
  }

  private static let names: TensorNames = {
    func bare(_ name: String) -> NamedPlace { NamedPlace(name).named(suffix: "") }
    func scale(_ name: String) -> NamedPlace { NamedPlace(name).named(suffix: ".scale") }
    var names = GemmaParts.names
    names.rename(
      TensorName(.router, "router.proj", "ffn_gate_inp"),
      TensorName(expert: .gate, bare("experts.gate_up_proj"), "ffn_gate_up_exps"),
      TensorName(expert: .up, bare("experts.gate_up_proj"), "ffn_gate_up_exps"),
      TensorName(expert: .down, bare("experts.down_proj"), "ffn_down_exps"))
    names.insert(
      TensorName(.denseOutputNorm, "post_feedforward_layernorm_1", "post_ffw_norm_1"),
      TensorName(.expertNorm, "pre_feedforward_layernorm_2", "pre_ffw_norm_2"),
      TensorName(.expertOutputNorm, "post_feedforward_layernorm_2", "post_ffw_norm_2"),
      TensorName(.routerNorm, bare("router.scale"), scale("ffn_gate_inp")),
      TensorName(.expertScales, bare("router.per_expert_scale"), scale("ffn_down_exps")), after: .feedForwardOutputNorm)
    names.insert(TensorName(.blockScale, bare("layer_scalar"), "layer_output_scale"), after: .embeddingGateNorm)
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let view = LanguageModelView(configuration, tensors, as: "Gemma4ForCausalLM")
    let keys = ConfigurationKeys(view.configuration, path: tensors.path)
    let facts = try Gemma4Facts(keys, view.tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { facts.branches($0) }
    decoder.names = names
    decoder.embedding.scale = Float(n.hiddenSize).squareRoot()
    decoder.embedding.perBlock = facts.parts.embedding
    decoder.head.cap = facts.cap.map { Float($0) }
    decoder.tabulatedRope = facts.global
    var model = try decoder.describe()
    model.obstacles[.gguf] = facts.obstacle
    if facts.obstacle == nil { model.configurations[.gguf] = facts.stored }
    model.configurations[.huggingFace] = facts.stated
    return view.restored(model)
  }
}

extension TensorRole {
  /// The norms behind a feed-forward network and behind the experts beside it, before their results are added.
  fileprivate static let denseOutputNorm = TensorRole("denseOutputNorm")
  fileprivate static let expertOutputNorm = TensorRole("expertOutputNorm")
}

/// What is read of a Gemma 4.
private struct Gemma4Facts: Sendable {
  let numbers: DecoderNumbers
  let parts: GemmaParts
  /// For blocks that attend to everything, and for those with a window.
  let (global, local): (Rope, Rope)
  let (globalKeyHeads, localKeyHeads): (Int, Int)
  /// Whether the configuration states the key-value heads of blocks that attend to everything.
  let statesGlobalKeyHeads: Bool
  let window: Int
  let activation: Activation
  let cap: Double?
  /// Whether keys are values in blocks that attend to everything.
  let keysAreValues: Bool
  /// Whether blocks with the keys and values of others have feed-forward networks of twice the size.
  let isDoubleWide: Bool
  let experts: (count: Int, used: Int, innerSize: Int)?

  init(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) {
    var n = try keys.decoderNumbers(
      defaultHeads: 8, defaultKeyValueHeads: 4, defaultHeadSize: 256, tensors: tensors, mayDiffer: true)
    if n.contextLength == 0 { n.contextLength = 131_072 }
    try GemmaParts.readVocabulary(&n, keys, tensors)
    try keys.refuse("attention_bias", when: true, "attention biases are not supported")
    if let mask = keys.json("use_bidirectional_attention")?.stringValue, mask == "all" {
      throw keys.unsupported("model.variant", "bidirectional attention is not supported ('use_bidirectional_attention' is all)")
    }
    activation = try keys.activation("hidden_activation", default: "gelu_pytorch_tanh")
    if activation == .relu { throw keys.unsupported("model.activation", "the activation 'relu' is not supported") }
    cap = try keys.number("final_logit_softcapping", "final_logit_softcapping")
    window = try keys.size("sliding_window", "attention.sliding_window") ?? 512
    var isWindowed = try keys.windowedBlocks(n.blockCount, defaultPeriod: 6)
    // The classes make the last block attend to everything.
    if !keys.isStored, !isWindowed.isEmpty { isWindowed[n.blockCount - 1] = false }
    let parts = try GemmaParts(keys, n, isWindowed: isWindowed, defaultSharing: 0, activation)
    self.parts = parts
    let sizes = try Gemma4Facts.globalSizes(keys, n, parts.isWindowed)
    (localKeyHeads, globalKeyHeads, statesGlobalKeyHeads) = (sizes.localKeyHeads, sizes.globalKeyHeads, sizes.isStated)
    keysAreValues = sizes.keysAreValues ?? Gemma4Facts.lacksValues(tensors, parts)
    let localSize = keys.isStored ? try keys.size("", "attention.key_length_swa") ?? n.headSize : n.headSize
    n.headSize = sizes.headSize
    n.statesHeadSize = true
    global = try keys.rope(
      headSize: n.headSize, defaultTheta: 1_000_000, factors: tensors[RopeFactors.name], kind: "full_attention", mayBeProportional: true,
      readsShare: false)
    local = try GemmaParts.windowRope(keys, headSize: localSize)
    let widths = try keys.sizes(stored: "feed_forward_length", blocks: n.blockCount)
    isDoubleWide = keys.isStored ? widths?.last == 2 * n.feedForwardSize : keys.json("use_double_wide_mlp")?.boolValue ?? false
    for (block, width) in (widths ?? []).enumerated()
    where width != n.feedForwardSize * (isDoubleWide && block >= parts.firstSharing ? 2 : 1) {
      throw keys.unsupported(
        "model.blocks-differ", "'\(keys.name("", "feed_forward_length"))' differs between blocks of one kind (block \(block))")
    }
    let expertCount = try keys.size("", "expert_count") ?? 0
    if keys.isStored ? expertCount > 0 : keys.json("enable_moe_block")?.boolValue ?? false {
      let (count, used) = try keys.experts(count: "num_experts", used: "top_k_experts", blocks: n.blockCount)
      experts = (count, used, try keys.positiveSize("moe_intermediate_size", "expert_feed_forward_length"))
    } else {
      experts = nil
    }
    numbers = n
  }

  /// Heads of blocks that attend to everything, and the key-value heads of the others.
  private struct GlobalSizes {
    var headSize: Int
    var globalKeyHeads: Int
    var localKeyHeads: Int
    /// Whether the key-value heads are stated.
    var isStated: Bool
    /// Nil: the tensors show it.
    var keysAreValues: Bool?
  }

  private static func globalSizes(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ isWindowed: [Bool]) throws(Failure) -> GlobalSizes {
    let all = isWindowed.firstIndex(of: false)
    if keys.isStored {
      let list = try keys.sizes(stored: "attention.head_count_kv", blocks: n.blockCount) ?? []
      let isList = if case .i32s = keys.metadata("attention.head_count_kv") { true } else { false }
      func first(_ windowed: Bool) -> Int? { isWindowed.firstIndex(of: windowed).flatMap { list.isEmpty ? nil : list[$0] } }
      let heads = (global: first(false) ?? n.keyValueHeadCount, local: first(true) ?? n.keyValueHeadCount)
      for block in list.indices where list[block] != (isWindowed[block] ? heads.local : heads.global) {
        throw keys.unsupported(
          "model.blocks-differ", "'\(keys.name("", "attention.head_count_kv"))' differs between blocks of one kind (block \(block))")
      }
      return GlobalSizes(
        headSize: n.headSize, globalKeyHeads: heads.global, localKeyHeads: heads.local, isStated: isList, keysAreValues: nil)
    }
    let sharesValues = keys.json("attention_k_eq_v")?.boolValue ?? false
    if let blocks = keys.json("per_layer_config"), let all {
      // Newer configurations state what differs block by block.
      for (block, windowed) in isWindowed.enumerated() where blocks["\(block)"] != (windowed ? nil : blocks["\(all)"]) {
        throw keys.unsupported("model.blocks-differ", "'per_layer_config' differs between blocks of one kind (block \(block))")
      }
      let own = ConfigurationKeys(.huggingFace(blocks["\(all)"] ?? .null), path: keys.path)
      let heads = try own.size("num_key_value_heads", "")
      return GlobalSizes(
        headSize: try own.size("head_dim", "") ?? n.headSize, globalKeyHeads: heads ?? n.keyValueHeadCount,
        localKeyHeads: n.keyValueHeadCount, isStated: heads != nil, keysAreValues: sharesValues)
    }
    let heads = sharesValues ? try keys.size("num_global_key_value_heads", "") : nil
    return GlobalSizes(
      headSize: try keys.size("global_head_dim", "") ?? 512, globalKeyHeads: heads ?? n.keyValueHeadCount,
      localKeyHeads: n.keyValueHeadCount, isStated: heads != nil, keysAreValues: sharesValues)
  }

  /// Whether a GGUF has no values for a block that attends to everything and has keys.
  private static func lacksValues(_ tensors: Checkpoint, _ parts: GemmaParts) -> Bool {
    parts.isWindowed.indices.contains { block in
      !parts.isWindowed[block] && block < parts.firstSharing && tensors["blk.\(block).attn_v.weight"] == nil
    }
  }

  func branches(_ block: Int) -> [Branch] {
    let n = numbers
    var feedForward = Branch(
      norm: n.rootMeanSquareNorm(.feedForwardNorm),
      n.feedForward(activation, innerSize: n.feedForwardSize * (isDoubleWide && block >= parts.firstSharing ? 2 : 1)))
    if experts != nil { feedForward = Branch(norm: nil, sum(feedForward)) }
    feedForward.outputNorm = n.rootMeanSquareNorm(.feedForwardOutputNorm)
    var branches = [
      Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention(block), outputNorm: n.rootMeanSquareNorm(.attentionOutputNorm)),
      feedForward,
    ]
    if let gate = parts.gate { branches.append(Branch(norm: nil, gate, outputNorm: n.rootMeanSquareNorm(.embeddingGateNorm))) }
    branches[branches.count - 1].sumScale = .blockScale
    return branches
  }

  /// The experts beside a feed-forward network.
  private func sum(_ dense: Branch) -> BranchSum {
    let n = numbers, count = experts?.count ?? 0
    var routing = ExpertRouting(expertsPerToken: experts?.used ?? 0, weights: .softmaxOfChosen)
    routing.scalesExperts = true
    var mixture = MixtureOfExperts(n.feedForward(activation, innerSize: experts?.innerSize), expertCount: count, routing: routing)
    mixture.norms = MixtureOfExperts.Norms(
      experts: n.rootMeanSquareNorm(.expertNorm), router: n.rootMeanSquareNorm(.routerNorm),
      routerScale: 1 / Float(n.hiddenSize).squareRoot())
    var dense = dense
    dense.outputNorm = n.rootMeanSquareNorm(.denseOutputNorm)
    return BranchSum(
      width: n.hiddenSize, dense, Branch(norm: nil, mixture, outputNorm: n.rootMeanSquareNorm(.expertOutputNorm)))
  }

  private func attention(_ block: Int) -> Attention {
    let isWindowed = parts.isWindowed[block], rope = isWindowed ? local : global
    var attention = Attention(
      width: numbers.hiddenSize, headCount: numbers.headCount, keyValueHeadCount: isWindowed ? localKeyHeads : globalKeyHeads,
      headSize: rope.dimension, rope: rope)
    parts.complete(&attention, block: block, numbers)
    attention.window = isWindowed ? window : nil
    attention.valuesAreKeys = keysAreValues && !isWindowed
    return attention
  }

  /// Why llama.cpp would not compute this model; nil: it does.
  var obstacle: String? {
    if activation != .geluTanh { return "llama.cpp has another activation in 'gemma4' than this model" }
    if window == 0 { return "llama.cpp needs an attention window in 'gemma4', but this model has none" }
    if local.scaling != .none { return "llama.cpp does not scale the frequencies of blocks with a window in 'gemma4'" }
    if case .proportional = global.scaling { return nil }
    return "llama.cpp rotates only some pairs of channels in 'gemma4', but this model all"
  }

  var stored: Configuration {
    var keys = GGUFKeys("gemma4")
    keys.setCommon(numbers, rope: global, localTheta: local.theta, experts: experts.map { ($0.count, $0.used) }, statesHeadSize: true)
    if let cap { keys.set("final_logit_softcapping", cap) }
    keys.set("attention.sliding_window", window)
    keys.set("attention.shared_kv_layers", numbers.blockCount - parts.firstSharing)
    keys.set("embedding_length_per_layer_input", parts.embedding?.width ?? 0)
    keys.set("attention.sliding_window_pattern", .bools(parts.isWindowed))
    keys.set("attention.key_length_swa", local.dimension)
    keys.set("attention.value_length_swa", local.dimension)
    if let experts { keys.set("expert_feed_forward_length", experts.innerSize) }
    if isDoubleWide {
      let sizes = (0..<numbers.blockCount).map { numbers.feedForwardSize * ($0 < parts.firstSharing ? 1 : 2) }
      keys.set("feed_forward_length", .i32s(sizes.map { Int32(clamping: $0) }))
    }
    if statesGlobalKeyHeads || globalKeyHeads != localKeyHeads {
      keys.set("attention.head_count_kv", .i32s(parts.isWindowed.map { Int32(clamping: $0 ? localKeyHeads : globalKeyHeads) }))
    }
    keys.set("rope.dimension_count", global.dimension)
    keys.set("rope.dimension_count_swa", local.dimension)
    keys.setTokenizerModel("gemma4")
    return keys.configuration
  }

  /// Nil if the configuration has no name for a scaling of the rotary embedding.
  var stated: Configuration? {
    var keys = HuggingFaceKeys("Gemma4ForCausalLM", modelType: "gemma4_text")
    guard parts.state(&keys, numbers, activation, cap: cap, window: window, local: local, global: global) else { return nil }
    keys.set("num_key_value_heads", localKeyHeads)
    keys.set("head_dim", local.dimension)
    keys.set("global_head_dim", global.dimension)
    keys.set("num_global_key_value_heads", statesGlobalKeyHeads || globalKeyHeads != localKeyHeads ? .int(globalKeyHeads) : .null)
    keys.set("attention_k_eq_v", keysAreValues)
    keys.set("intermediate_size", numbers.feedForwardSize)
    keys.set("use_double_wide_mlp", isDoubleWide)
    keys.set("hidden_size_per_layer_input", parts.embedding?.width ?? 0)
    keys.set("vocab_size_per_layer_input", parts.embedding?.rows ?? numbers.vocabularySize)
    keys.set("enable_moe_block", experts != nil)
    keys.set("num_experts", experts.map { .int($0.count) } ?? .null)
    keys.set("top_k_experts", experts.map { .int($0.used) } ?? .null)
    keys.set("moe_intermediate_size", experts.map { .int($0.innerSize) } ?? .null)
    return keys.configuration
  }
}
