import FamilyKit
import QuantCore

/// What Qwen's mixtures of experts share: the attention of the dense model of their generation, then experts behind a router; in some
/// blocks, the configuration may put one dense feed-forward network in their place.
///
/// The trap: a folder states whether the weights of the chosen experts are divided by their sum; in llama.cpp this is a constant of
/// the architecture.
struct QwenMixture {
  /// Id of the family.
  var family: String
  /// What a GGUF calls the architecture.
  var ggufArchitecture: String
  /// The class in transformers, and its `model_type`.
  var architecture: String
  var modelType: String
  /// Defaults for a `config.json`: key-value heads, channels inside an expert, and inside the shared one (nil: there is none).
  var defaultKeyValueHeads: Int
  var defaultInnerSize: Int
  var defaultSharedSize: Int?
  /// The layers of the attention that have biases if this key says so; without the key, the default decides.
  var biased: Set<TensorRole>
  var biasKey: String
  var hasBiasesByDefault: Bool
  /// Whether every head of Q and K is normalised before the rotary embedding.
  var normalisesHeads: Bool
  /// Whether llama.cpp divides the weights of the chosen experts by their sum.
  var isNormalisedInGGUF: Bool
  /// Whether the class does so whatever the configuration says.
  var isAlwaysNormalised = false
  /// Whether the stacks of a folder hold matrices as `[in, out]`.
  var hasTransposedStacks = false
  /// Pairs of channels for each component of a position, if positions have several. Those of a text are all the same.
  var rotarySections: [Int]?
  /// The number of blocks to whose output features of images are added; nil: the architecture has none.
  var featureBlocks: Int?
  /// Why llama.cpp would not load or compute such a model with biases, or with tied embeddings; nil: it does.
  var obstacleOfBiases: String?
  var obstacleOfTies: String?

  /// What was read from the configuration and the checkpoint.
  private struct Facts {
    var numbers = DecoderNumbers()
    var rope = Rope()
    /// Attention windows of the blocks; nil: the block attends to all tokens.
    var windows: [Int?] = []
    /// Blocks without experts.
    var dense: [Int] = []
    var experts = (count: 0, used: 0)
    var innerSize = 0
    var sharedSize: Int?
    var isNormalised = false
    var hasBiases = false
  }

  /// Builds the description that a configuration of this family means.
  func describe(_ configuration: Configuration, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try read(keys, tensors)
    let n = facts.numbers
    var decoder = Decoder(family: family, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { index throws(Failure) in
      branches(facts, index)
    }
    decoder.names = QwenMixture.names(areStacked: hasStacks(tensors, facts), areTransposed: hasTransposedStacks)
    decoder.bias = { facts.hasBiases && $0.expert == nil && biased.contains($0.role) ? .always : .never }
    decoder.tabulatedRope = facts.rope
    var model = try decoder.describe()
    if let obstacle = obstacle(facts) {
      model.obstacles[.gguf] = obstacle
    } else {
      model.configurations[.gguf] = ggufConfiguration(facts)
    }
    model.configurations[.huggingFace] = huggingFaceConfiguration(facts)
    return model
  }

  private func branches(_ facts: Facts, _ index: Int) -> [Branch] {
    let n = facts.numbers
    var attention = n.attention(rope: facts.rope)
    attention.window = facts.windows[index]
    if normalisesHeads { (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm)) }
    let weights: ExpertRouting.Weights = facts.isNormalised ? .softmaxOfChosen : .softmax
    let second: any Part =
      if facts.dense.contains(index) {
        n.feedForward()
      } else {
        MixtureOfExperts(
          n.feedForward(innerSize: facts.innerSize), expertCount: facts.experts.count,
          routing: ExpertRouting(expertsPerToken: facts.experts.used, weights: weights),
          shared: facts.sharedSize.map { n.feedForward(innerSize: $0) }, weighsShared: facts.sharedSize != nil)
      }
    return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
  }

  // MARK: Names

  /// Llama's names with those of the shared expert.
  /// - Parameters:
  ///   - areStacked: whether the experts of a folder are stacked, gate and up in one tensor, as transformers 5 stores them.
  ///   - areTransposed: whether matrices of stacks are `[in, out]`.
  static func names(areStacked: Bool, areTransposed: Bool = false) -> TensorNames {
    var names = TensorNames.llama
    names.insert(
      TensorName(.sharedGate, "mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
      TensorName(.sharedUp, "mlp.shared_expert.up_proj", "ffn_up_shexp"),
      TensorName(.sharedDown, "mlp.shared_expert.down_proj", "ffn_down_shexp"),
      TensorName(.sharedRouter, "mlp.shared_expert_gate", "ffn_gate_inp_shexp"), after: .down)
    guard areStacked else { return names }
    func stack(_ name: String) -> NamedPlace {
      let place = NamedPlace(name).named(suffix: "")
      return areTransposed ? place.transposed : place
    }
    let gateUp = stack("mlp.experts.gate_up_proj")
    names.rename(
      TensorName(expert: .gate, gateUp.apart("mlp.experts.*.gate_proj"), "ffn_gate_exps"),
      TensorName(expert: .up, gateUp.apart("mlp.experts.*.up_proj"), "ffn_up_exps"),
      TensorName(
        expert: .down, stack("mlp.experts.down_proj").apart("mlp.experts.*.down_proj"), "ffn_down_exps"))
    return names
  }

  private func hasStacks(_ tensors: Checkpoint, _ facts: Facts) -> Bool {
    guard let block = (0..<facts.numbers.blockCount).first(where: { !facts.dense.contains($0) }) else { return false }
    return tensors["model.layers.\(block).mlp.experts.gate_up_proj"] != nil
  }

  // MARK: Numbers

  private func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var facts = Facts()
    var n = try keys.decoderNumbers(defaultKeyValueHeads: defaultKeyValueHeads, tensors: tensors)
    facts.rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: tensors[RopeFactors.name])
    try keys.refuseActivations(otherThan: "silu")
    // transformers 5 may write the other key.
    let count = keys.json("num_experts") == nil && keys.json("num_local_experts") != nil ? "num_local_experts" : "num_experts"
    facts.experts = try keys.experts(count: count, blocks: n.blockCount)
    let share = n.feedForwardSize / facts.experts.used
    facts.innerSize = try size(keys, "moe_intermediate_size", "expert_feed_forward_length", stored: share, default: defaultInnerSize)
    if let defaultSharedSize {
      facts.sharedSize = try size(
        keys, "shared_expert_intermediate_size", "expert_shared_feed_forward_length", stored: n.feedForwardSize,
        default: defaultSharedSize)
    }
    facts.isNormalised = keys.isStored ? isNormalisedInGGUF : isAlwaysNormalised || keys.json("norm_topk_prob")?.boolValue ?? false
    facts.hasBiases = keys.hasBiases(biasKey, default: hasBiasesByDefault, stored: "blk.0.attn_q.bias", tensors)
    facts.windows = try windows(keys, n.blockCount)
    facts.dense = try denseBlocks(keys, n.blockCount)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    facts.numbers = n
    return facts
  }

  /// - Parameters:
  ///   - stored: what llama.cpp assumes if a GGUF does not state it.
  ///   - value: what is assumed if a `config.json` does not state it.
  private func size(
    _ keys: ConfigurationKeys, _ huggingFace: String, _ gguf: String, stored: Int, default value: Int
  ) throws(Failure) -> Int {
    let size = try keys.size(huggingFace, gguf) ?? (keys.isStored ? stored : value)
    guard size > 0 else { throw keys.bad(keys.name(huggingFace, gguf), "is \(size), but must be positive") }
    return size
  }

  /// The window of each block: only the blocks that `layer_types` names or, without that key, all. llama.cpp has no window here.
  private func windows(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int?] {
    guard keys.json("use_sliding_window")?.boolValue ?? false, let window = try keys.window() else {
      return [Int?](repeating: nil, count: blocks)
    }
    guard keys.json("layer_types") != nil else { return [Int?](repeating: window, count: blocks) }
    return try keys.windowedBlocks(blocks, defaultPeriod: 0).map { $0 ? window : nil }
  }

  /// Blocks without experts: those that `mlp_only_layers` lists, and all but every `decoder_sparse_step`th.
  private func denseBlocks(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int] {
    let step = keys.json("decoder_sparse_step") == nil ? 1 : try keys.positiveSize("decoder_sparse_step", "")
    let listed = keys.json("mlp_only_layers")?.arrayValue ?? []
    let numbers = Set(listed.compactMap(\.intValue))
    guard listed.allSatisfy({ $0.intValue != nil }) else { throw keys.bad("mlp_only_layers", "is not a list of whole numbers") }
    return (0..<blocks).filter { numbers.contains($0) || !($0 + 1).isMultiple(of: step) }
  }

  // MARK: Configurations

  /// Why llama.cpp does not compute this model; nil: it does.
  private func obstacle(_ facts: Facts) -> String? {
    if let first = facts.dense.first {
      return "llama.cpp needs experts in every block of '\(ggufArchitecture)', but block \(first) of this model has none"
    }
    if facts.isNormalised != isNormalisedInGGUF {
      return "llama.cpp \(isNormalisedInGGUF ? "always" : "never") divides the weights of chosen experts by their sum in "
        + "'\(ggufArchitecture)', but 'norm_topk_prob' of this model is \(facts.isNormalised)"
    }
    return (facts.hasBiases ? obstacleOfBiases : nil) ?? (facts.numbers.tiesEmbeddings ? obstacleOfTies : nil)
  }

  private func ggufConfiguration(_ facts: Facts) -> Configuration {
    var stored = GGUFKeys(ggufArchitecture)
    stored.rotarySections = rotarySections
    stored.setCommon(facts.numbers, rope: facts.rope, experts: facts.experts, statesHeadSize: facts.numbers.statesHeadSize)
    stored.set("expert_feed_forward_length", facts.innerSize)
    if let size = facts.sharedSize { stored.set("expert_shared_feed_forward_length", size) }
    if let featureBlocks { stored.set("n_deepstack_layers", featureBlocks) }
    return stored.configuration
  }

  /// - Returns: nil if no known rule gives the stored rotary factors.
  private func huggingFaceConfiguration(_ facts: Facts) -> Configuration? {
    var keys = HuggingFaceKeys(architecture, modelType: modelType)
    guard keys.setCommon(facts.numbers, rope: facts.rope, statesHeadSize: facts.numbers.statesHeadSize) else { return nil }
    keys.set(biasKey, facts.hasBiases)
    keys.set("num_experts", facts.experts.count)
    keys.set("num_experts_per_tok", facts.experts.used)
    keys.set("norm_topk_prob", facts.isNormalised)
    keys.set("moe_intermediate_size", facts.innerSize)
    if let size = facts.sharedSize { keys.set("shared_expert_intermediate_size", size) }
    keys.set("decoder_sparse_step", 1)
    keys.set("mlp_only_layers", .array(facts.dense.map { .int($0) }))
    let window = facts.windows.lazy.compactMap { $0 }.first
    keys.set("use_sliding_window", window != nil)
    if let window {
      keys.set("sliding_window", window)
      keys.set("layer_types", .array(facts.windows.map { .string($0 == nil ? "full_attention" : "sliding_attention") }))
    }
    return keys.configuration
  }
}
