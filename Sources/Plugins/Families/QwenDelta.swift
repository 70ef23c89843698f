import FamilyKit
import QuantCore

/// What Qwen3-Next and Qwen3.5 share: gated delta nets in most blocks and a gated attention in the others, then a mixture of experts
/// beside a shared one, or a dense feed-forward network.
///
/// The traps: a folder stores gains minus 1, except that of the delta net's norm; the query matrix holds, head by head, the gate too.
struct QwenDelta {
  /// Id of the family.
  var family: String
  /// What a GGUF calls the architecture.
  var ggufArchitecture: String
  /// The class in transformers, and its `model_type`.
  var architecture: String
  var modelType: String
  var hasExperts: Bool
  /// Whether a folder keeps the products of the delta net in one matrix, key head by key head; else in separate ones, which a GGUF stores
  /// with the value heads in another order.
  var isFused: Bool
  /// Prefixes of the language model in folders.
  var prefixes = ["model."]

  /// What was read from the configuration and the checkpoint.
  struct Facts {
    var numbers = DecoderNumbers()
    var rope = Rope()
    /// Sections of the rotary embedding for images; empty: there are none.
    var sections: [Int] = []
    /// Which blocks have an attention.
    var attends: [Bool] = []
    /// Whether the configuration lists the kinds of blocks.
    var listsBlocks = false
    /// The last block of this many has an attention.
    var interval = 4
    var delta: GatedDeltaNet
    var experts: (count: Int, used: Int)?
    var innerSize = 0
    var sharedSize = 0
    var isNormalised = true
    var hasBiases = false
  }

  /// Builds the description that a configuration means.
  func describe(_ configuration: Configuration, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let whole = ConfigurationKeys(configuration, path: tensors.path)
    var names = TensorNames.llama
    names.choosePrefix(prefixes, in: tensors)
    let facts = try read(whole.nested("text_config"), whole, names, tensors)
    let n = facts.numbers
    var decoder = Decoder(family: family, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) {
      branches(facts, attends: facts.attends[$0])
    }
    decoder.names = self.names(facts, prefix: names.prefixes[.huggingFace] ?? "", tensors)
    decoder.bias = { facts.hasBiases && $0.kind == .attention ? .always : .never }
    let prediction = tensors["model.mtp.fc.weight"] == nil ? "mtp." : "model.mtp."
    decoder.predicting = PredictingBlocks(after: n.blockCount, in: tensors, decoder.names, .apart(prefix: prediction), gain: .plus(1))
    decoder.predictingBranches = branches(facts, attends: true)
    var model = try decoder.describe()
    model.otherParts[.huggingFace] = ["model.visual."]
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts, model) }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  private func branches(_ facts: Facts, attends: Bool) -> [Branch] {
    let n = facts.numbers
    let first: any Part
    if attends {
      var attention = n.attention(rope: facts.rope)
      (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
      attention.gate = Attention.Gate()
      first = attention
    } else {
      first = facts.delta
    }
    let second: any Part =
      if let experts = facts.experts {
        MixtureOfExperts(
          n.feedForward(innerSize: facts.innerSize), expertCount: experts.count,
          routing: ExpertRouting(expertsPerToken: experts.used, weights: facts.isNormalised ? .softmaxOfChosen : .softmax),
          shared: n.feedForward(innerSize: facts.sharedSize), weighsShared: true)
      } else {
        n.feedForward()
      }
    return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), first), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
  }

  // MARK: Names

  private func names(_ facts: Facts, prefix: String, _ tensors: Checkpoint) -> TensorNames {
    func norm(_ role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace) -> TensorName {
      TensorName(role, huggingFace.storing(.plus(1)), gguf)
    }
    let block = facts.experts.flatMap { _ in tensors["\(prefix)layers.0.mlp.experts.gate_up_proj"] }
    var names = QwenMixture.names(areStacked: block != nil)
    names.prefixes[.huggingFace] = prefix
    let heads = NamedPlace.Order.piecesByTurns(facts.numbers.headCount)
    names.rename(
      norm(.attentionNorm, "input_layernorm", "attn_norm"), norm(.feedForwardNorm, "post_attention_layernorm", "post_attention_norm"),
      norm(.queryNorm, "self_attn.q_norm", "attn_q_norm"), norm(.keyNorm, "self_attn.k_norm", "attn_k_norm"),
      TensorName(.query, NamedPlace("self_attn.q_proj").ordered(heads), NamedPlace("attn_q").ordered(heads)))
    names.insert(
      TensorName(.attentionGate, NamedPlace("self_attn.q_proj").ordered(heads), NamedPlace("attn_q").ordered(heads)), after: .query)
    names.back[0] = norm(.outputNorm, "norm", "output_norm")
    names.insert(deltaNames(facts.delta), after: .attentionNorm)
    return names
  }

  private func deltaNames(_ part: GatedDeltaNet) -> [TensorName] {
    let (keys, values) = (part.keyHeadCount, part.valueHeadCount)
    func named(_ name: String) -> NamedPlace { NamedPlace("linear_attn." + name) }
    /// The order of value heads in a GGUF.
    func turned(_ name: String, size: Int, first: Int = 0) -> NamedPlace {
      isFused ? NamedPlace(name) : NamedPlace(name).ordered(.unitsByTurns(first: first, size: size, groups: keys))
    }
    let all = isFused ? named("in_proj_qkvz").ordered(.piecesByTurns(keys)) : named("in_proj_qkv")
    let controls = named("in_proj_ba").ordered(.piecesByTurns(keys))
    let channels = part.convolvedSize, size = part.kernelSize
    var output = NamedPlace("ssm_out")
    if !isFused {
      output.columns = .units(size: part.valueSize, (0..<values).map { $0 % (values / keys) * keys + $0 / (values / keys) })
    }
    let fusedControls = NamedPlace("ssm_ba").ordered(.piecesByTurns(keys))
    return [
      TensorName(.deltaQuery, all, "attn_qkv"), TensorName(.deltaKey, all, "attn_qkv"),
      TensorName(.deltaValue, all, turned("attn_qkv", size: part.valueSize)),
      TensorName(.deltaGate, isFused ? all : named("in_proj_z"), turned("attn_gate", size: part.valueSize)),
      TensorName(.deltaWrite, isFused ? controls : named("in_proj_b"), isFused ? fusedControls : turned("ssm_beta", size: 1)),
      TensorName(.deltaDecay, isFused ? controls : named("in_proj_a"), isFused ? fusedControls : turned("ssm_alpha", size: 1)),
      TensorName(
        .convolution, named("conv1d").shaped([channels, 1, size]),
        turned("ssm_conv1d", size: part.valueSize * size, first: 2 * keys * part.keySize * size).shaped([channels, size])),
      TensorName(.stepBias, named("dt_bias").named(suffix: ""), turned("ssm_dt.bias", size: 1).named(suffix: "")),
      TensorName(
        .decayRate, named("A_log").named(suffix: "").storing(.negatedExponential), turned("ssm_a", size: 1).named(suffix: "")),
      TensorName(.mixerNorm, named("norm"), "ssm_norm"), TensorName(.mixerOutput, named("out_proj"), output),
    ]
  }

  // MARK: Numbers

  private func read(
    _ keys: ConfigurationKeys, _ whole: ConfigurationKeys, _ names: TensorNames, _ tensors: Checkpoint
  ) throws(Failure) -> Facts {
    var n = try keys.decoderNumbers(
      defaultKeyValueHeads: isFused ? 2 : 4, defaultHeadSize: 256, tensors: tensors, feedForwardSize: !hasExperts)
    try keys.uncountPredictingBlocks(&n)
    let embedding = tensors[names.name(.tokenEmbedding, keys.isStored ? .gguf : .huggingFace) ?? ""]
    n.tiesEmbeddings = try whole.tiesEmbeddings(default: false, tensors, embedding: embedding?.name ?? "")
    n.vocabularySize = try keys.vocabularySize(embedding)
    try keys.refuseActivations(otherThan: "silu")
    func size(_ huggingFace: String, _ gguf: String, _ value: Int) throws(Failure) -> Int {
      keys.json(huggingFace) == nil && !keys.isStored ? value : try keys.positiveSize(huggingFace, gguf)
    }
    let keyHeads = try size("linear_num_key_heads", "ssm.group_count", 16)
    let valueHeads = try size("linear_num_value_heads", "ssm.time_step_rank", 32)
    let valueSize =
      keys.isStored ? try keys.positiveSize("", "ssm.inner_size") / valueHeads : try size("linear_value_head_dim", "", 128)
    let delta = GatedDeltaNet(
      width: n.hiddenSize, keyHeadCount: keyHeads, valueHeadCount: valueHeads,
      keySize: try size("linear_key_head_dim", "ssm.state_size", 128), valueSize: valueSize,
      kernelSize: try size("linear_conv_kernel_dim", "ssm.conv_kernel", 4), norm: n.rootMeanSquareNorm(.mixerNorm))
    let largest = 1 << 18
    guard valueHeads.isMultiple(of: keyHeads), valueSize > 0,
      [valueHeads, keyHeads, delta.keySize, valueSize, delta.kernelSize].allSatisfy({ $0 <= largest })
    else {
      throw Failure(
        .data, "model.head-count", "\(valueHeads) value heads of \(valueSize) channels cannot share \(keyHeads) key heads",
        file: tensors.path)
    }
    var facts = Facts(delta: delta)
    facts.rope = try keys.rope(
      headSize: n.headSize, defaultTheta: 10_000, factors: nil, mayBePartial: true, defaultShare: 0.25)
    facts.sections = try sections(keys)
    facts.interval =
      keys.json("full_attention_interval") == nil && !keys.isStored ? 4 : try size("full_attention_interval", "full_attention_interval", 4)
    let interval = facts.interval
    facts.listsBlocks = keys.json("layer_types") != nil || keys.metadata("attention.recurrent_layers") != nil
    facts.attends = try attentionBlocks(keys, n.blockCount, interval)
    facts.hasBiases = keys.hasBiases("attention_bias", stored: "blk.\(interval - 1).attn_k.bias", tensors)
    if hasExperts { try readExperts(&facts, keys, n) }
    facts.numbers = n
    return facts
  }

  private func attentionBlocks(_ keys: ConfigurationKeys, _ blocks: Int, _ interval: Int) throws(Failure) -> [Bool] {
    if let listed = try keys.sizes(stored: "attention.recurrent_layers", blocks: blocks) { return listed.map { $0 == 0 } }
    if keys.isStored { return (0..<blocks).map { ($0 + 1).isMultiple(of: interval) } }
    return try keys.attentionBlocks(blocks, others: ["linear_attention"]) { ($0 + 1).isMultiple(of: interval) }
  }

  private func readExperts(_ facts: inout Facts, _ keys: ConfigurationKeys, _ n: DecoderNumbers) throws(Failure) {
    let count = keys.json("num_experts") == nil && keys.json("num_local_experts") != nil ? "num_local_experts" : "num_experts"
    facts.experts = try keys.experts(count: count, blocks: n.blockCount)
    facts.innerSize = try keys.positiveSize("moe_intermediate_size", "expert_feed_forward_length")
    facts.sharedSize = try keys.positiveSize("shared_expert_intermediate_size", "expert_shared_feed_forward_length")
    facts.isNormalised = keys.json("norm_topk_prob")?.boolValue ?? true
    let step = keys.json("decoder_sparse_step")?.intValue ?? 1
    if step != 1 || keys.json("mlp_only_layers")?.arrayValue?.isEmpty == false {
      throw keys.unsupported("model.expert-blocks", "blocks without experts are not supported in '\(ggufArchitecture)'")
    }
  }

  private func sections(_ keys: ConfigurationKeys) throws(Failure) -> [Int] {
    if isFused { return [] }
    if keys.isStored { return try keys.sizes(stored: "rope.dimension_sections", blocks: 4) ?? [] }
    let stated = (keys.json("rope_parameters") ?? keys.json("rope_scaling"))?["mrope_section"]?.arrayValue?.compactMap(\.intValue)
    let sections = stated ?? [11, 11, 10]
    guard sections.count <= 4, sections.allSatisfy({ (0...1 << 20).contains($0) }) else {
      throw keys.bad("mrope_section", "is not a list of at most four sizes")
    }
    return sections + [Int](repeating: 0, count: 4 - sections.count)
  }

  // MARK: Configurations

  /// Why llama.cpp does not compute this model; nil: it does.
  private func obstacle(_ facts: Facts) -> String? {
    if facts.hasBiases { return "llama.cpp has no biases of the attention in '\(ggufArchitecture)', but this model has them" }
    if !facts.isNormalised {
      return "llama.cpp always divides the weights of chosen experts by their sum in '\(ggufArchitecture)', but this model does not"
    }
    return facts.rope.obstacle(ggufArchitecture)
  }

  private func stored(_ facts: Facts, _ model: ModelDescription) -> Configuration {
    let n = facts.numbers, delta = facts.delta
    var stored = GGUFKeys(ggufArchitecture)
    if !facts.sections.isEmpty {
      stored.order = [
        "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
        "rope.dimension_sections",
      ]
    }
    stored.setCommon(n, rope: facts.rope, experts: facts.experts, statesHeadSize: n.statesHeadSize)
    if !facts.sections.isEmpty { stored.set("rope.dimension_sections", .i32s(facts.sections.map { Int32(clamping: $0) })) }
    if facts.experts != nil {
      stored.set("expert_feed_forward_length", facts.innerSize)
      stored.set("expert_shared_feed_forward_length", facts.sharedSize)
    }
    stored.set("ssm.conv_kernel", delta.kernelSize)
    stored.set("ssm.state_size", delta.keySize)
    stored.set("ssm.group_count", delta.keyHeadCount)
    stored.set("ssm.time_step_rank", delta.valueHeadCount)
    stored.set("ssm.inner_size", delta.valueSize * delta.valueHeadCount)
    if facts.listsBlocks {
      let predictions = [Bool](repeating: false, count: model.predictingBlockCount)
      stored.set("attention.recurrent_layers", .bools(facts.attends.map { !$0 } + predictions))
    }
    stored.set("full_attention_interval", facts.interval)
    stored.set("rope.dimension_count", facts.rope.dimension)
    stored.setPredicting(model)
    return stored.configuration
  }

  private func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers, delta = facts.delta
    var keys = HuggingFaceKeys(architecture, modelType: modelType)
    guard keys.setCommon(n, rope: facts.rope, statesHeadSize: true) else { return nil }
    keys.set("attention_bias", facts.hasBiases)
    keys.set("linear_conv_kernel_dim", delta.kernelSize)
    keys.set("linear_key_head_dim", delta.keySize)
    keys.set("linear_value_head_dim", delta.valueSize)
    keys.set("linear_num_key_heads", delta.keyHeadCount)
    keys.set("linear_num_value_heads", delta.valueHeadCount)
    keys.set("full_attention_interval", facts.interval)
    keys.set("layer_types", .array(facts.attends.map { .string($0 ? "full_attention" : "linear_attention") }))
    if !facts.sections.isEmpty {
      keys.set(
        "rope_parameters",
        .object([
          .init("rope_type", .string("default")), .init("rope_theta", .shortest(facts.rope.theta)),
          .init("partial_rotary_factor", .shortest(facts.rope.share(ofHead: n.headSize) ?? 1)), .init("mrope_interleaved", .bool(true)),
          .init("mrope_section", .array(facts.sections.prefix(3).map { .int($0) })),
        ]))
    }
    if let experts = facts.experts {
      keys.set("num_experts", experts.count)
      keys.set("num_experts_per_tok", experts.used)
      keys.set("norm_topk_prob", facts.isNormalised)
      keys.set("moe_intermediate_size", facts.innerSize)
      keys.set("shared_expert_intermediate_size", facts.sharedSize)
      keys.set("decoder_sparse_step", 1)
      keys.set("mlp_only_layers", .array([]))
    }
    return keys.configuration
  }
}
