import FamilyKit
public import QuantCore
import QuantPlatform

/// Gemma 3n: Gemma 3 with several hidden states of each token, of which blocks compute one (AltUp), learned residual connections beside
/// the attentions, and gates of which most channels are silent in the first blocks. Each block has an embedding of the token of its own,
/// and the last blocks use the keys and values of earlier ones.
///
/// The traps: gains are stored as they are; scores are not scaled; values are normalized without gains; feed-forward networks may differ
/// in size; published checkpoints hold keys and values that nothing reads, and llama.cpp needs them; it has constants for much of what the
/// configuration states.
public enum Gemma3n: ModelFamily {
  /// Id of the family.
  public static let id = "gemma3n"
  /// One sentence for lists.
  public static let summary = "Gemma 3n, all sizes; only the language model"
  /// Model card.
  public static let reference = "https://ai.google.dev/gemma/docs/gemma-3n"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["gemma3n"] : ["Gemma3nForCausalLM", "Gemma3nForConditionalGeneration"]
  }

  private static let names: TensorNames = {
    func coefficients(_ name: String) -> NamedPlace { NamedPlace(name).stored(as: "f32") }
    var names = GemmaParts.names
    names.insert(
      TensorName(.laneRouterNorm, "altup.router_norm", "altup_router_norm"),
      TensorName(.laneRouter, "altup.modality_router", "altup_router"),
      TensorName(.lanePrediction, "altup.prediction_coefs", coefficients("altup_predict_coef")),
      TensorName(.laneCorrection, "altup.correction_coefs", coefficients("altup_correct_coef")),
      TensorName(.laneScale, NamedPlace("altup.correct_output_scale").named(suffix: ""), "altup_correct_scale"),
      TensorName(.residualInput, "laurel.linear_left", "laurel_l"), TensorName(.residualOutput, "laurel.linear_right", "laurel_r"),
      TensorName(.residualNorm, "laurel.post_laurel_norm", "laurel_post_norm"), after: .embeddingGateNorm)
    return names
  }()

  /// The projections of all lanes are one tensor in a GGUF.
  private static func projections(_ lanes: Lanes) -> [TensorName] {
    let all = [lanes.count - 1, lanes.width, lanes.width]
    func names(_ role: (Int) -> TensorRole, _ huggingFace: String, _ gguf: String) -> [TensorName] {
      (1..<lanes.count).map { TensorName(role($0), NamedPlace("\(huggingFace).\($0 - 1)"), NamedPlace(gguf).shaped(all)) }
    }
    return names(TensorRole.laneInput, "altup_projections", "altup_proj")
      + names(TensorRole.laneOutput, "altup_unembed_projections", "altup_unembd_proj")
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let view = LanguageModelView(configuration, tensors, as: "Gemma3nForCausalLM")
    let keys = ConfigurationKeys(view.configuration, path: tensors.path)
    let facts = try Gemma3nFacts(keys, view.tensors)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { facts.branches($0) }
    decoder.names = names
    decoder.names.front += projections(facts.lanes)
    decoder.embedding.scale = Float(n.hiddenSize).squareRoot()
    if var embedding = facts.parts.embedding {
      // In a GGUF, each token has a row of the table.
      embedding.paddedRows = max(embedding.rows, n.vocabularySize)
      decoder.embedding.perBlock = embedding
      decoder.names.front = decoder.names.front.map { name in
        var name = name
        if name.role == .blockEmbedding { name.places[.huggingFace] = name.places[.huggingFace]?.holding(rows: embedding.rows) }
        return name
      }
    }
    decoder.embedding.lanes = facts.lanes
    decoder.head.cap = Float(facts.cap)
    var model = try decoder.describe()
    model.obstacles[.gguf] = facts.obstacle
    if facts.obstacle == nil { model.configurations[.gguf] = facts.stored }
    model.configurations[.huggingFace] = facts.stated
    return view.restored(model)
  }
}

/// What is read of a Gemma 3n.
private struct Gemma3nFacts: Sendable {
  let numbers: DecoderNumbers
  let parts: GemmaParts
  let gate: EmbeddingGate
  /// For blocks that attend to everything, and for those with a window.
  let (global, local): (Rope, Rope)
  let window: Int
  let activation: Activation
  let cap: Double
  let lanes: Lanes
  /// Whether channels of the active lane are scaled before the embedding of a block is added to the others.
  let scalesLane: Bool
  /// Channels between the thin matrices of the residual connections.
  let rank: Int
  /// Of the feed-forward network of each block, and whether the configuration lists them.
  let sizes: [Int]
  let listsSizes: Bool
  /// The share of channels of gates that are silent, for each block.
  let sparsity: [Double]
  /// Whether llama.cpp computes the model, which estimates the deviation of channels from a sample.
  let isStored: Bool
  /// Whether blocks with the keys and values of others lack the matrices that nothing reads.
  let lacksUnreadKeys: Bool

  init(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) {
    var n = try keys.decoderNumbers(
      defaultHeads: 8, defaultKeyValueHeads: 2, defaultHeadSize: 256, tensors: tensors, mayDiffer: true)
    if n.contextLength == 0 { n.contextLength = 32_768 }
    n.statesHeadSize = true
    try GemmaParts.readVocabulary(&n, keys, tensors)
    try keys.refuse("attention_bias", when: true, "attention biases are not supported")
    activation = try keys.activation("hidden_activation", default: "gelu_pytorch_tanh")
    if activation == .relu { throw keys.unsupported("model.activation", "the activation 'relu' is not supported") }
    cap = try keys.number("final_logit_softcapping", "final_logit_softcapping") ?? Gemma3nFacts.knownCap
    window = try keys.size("sliding_window", "attention.sliding_window") ?? 512
    isStored = keys.isStored
    let isWindowed = try keys.windowedBlocks(n.blockCount, defaultPeriod: 5)
    parts = try GemmaParts(keys, n, isWindowed: isWindowed, defaultSharing: 15, activation)
    guard let gate = parts.gate else {
      throw keys.bad(keys.name("hidden_size_per_layer_input", "embedding_length_per_layer_input"), "is 0, but must be positive")
    }
    self.gate = gate
    global = try keys.rope(headSize: n.headSize, defaultTheta: 1_000_000, factors: nil, kind: "full_attention")
    local = try GemmaParts.windowRope(keys, headSize: n.headSize)
    let count = try keys.size("altup_num_inputs", "altup.num_inputs") ?? 4,
      active = try keys.size("altup_active_idx", "altup.active_idx") ?? 0
    guard (1...64).contains(count) else { throw keys.bad(keys.name("altup_num_inputs", "altup.num_inputs"), "is not 1 to 64") }
    guard active < count else { throw keys.bad(keys.name("altup_active_idx", "altup.active_idx"), "is not less than the number of inputs") }
    lanes = Lanes(count: count, active: active, width: n.hiddenSize)
    scalesLane = keys.json("altup_correct_scale")?.boolValue ?? true
    let stated = try keys.size("laurel_rank", "")
    rank = stated ?? tensors["blk.0.laurel_l.weight"]?.shape.first ?? Gemma3nFacts.knownRank
    (sizes, listsSizes) = try Gemma3nFacts.sizes(keys, n)
    sparsity = try Gemma3nFacts.sparsity(keys, n.blockCount)
    let first = parts.firstSharing
    lacksUnreadKeys = !keys.isStored && first < n.blockCount && tensors["model.layers.\(first).self_attn.k_proj.weight"] == nil
    numbers = n
  }

  /// Channels of the feed-forward network of each block.
  private static func sizes(_ keys: ConfigurationKeys, _ n: DecoderNumbers) throws(Failure) -> ([Int], isList: Bool) {
    let same = [Int](repeating: n.feedForwardSize, count: n.blockCount)
    if keys.isStored {
      let isList = if case .u32? = keys.metadata("feed_forward_length") { false } else { true }
      return (try keys.sizes(stored: "feed_forward_length", blocks: n.blockCount) ?? same, isList)
    }
    guard let list = keys.json("intermediate_size")?.arrayValue else { return (same, false) }
    let sizes = list.compactMap { $0.doubleValue.flatMap(Int.init(exactly:)) }.filter { (1...Int(Int32.max)).contains($0) }
    guard sizes.count == n.blockCount, list.count == sizes.count else {
      throw keys.bad("intermediate_size", "is not a list of one positive size for each of \(n.blockCount) blocks")
    }
    return (sizes, true)
  }

  /// The share of silent channels for each block.
  private static func sparsity(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Double] {
    let known = (0..<blocks).map { $0 < knownSparseBlocks && (keys.isStored || blocks > knownSparseBlocks) ? knownSparsity : 0 }
    // llama.cpp does not read the list either.
    guard !keys.isStored, let stated = keys.json("activation_sparsity_pattern") else { return known }
    let list = (stated.arrayValue ?? [JSON](repeating: stated, count: blocks)).compactMap(\.doubleValue)
    guard list.count == blocks, list.allSatisfy({ (0..<1).contains($0) }) else {
      throw keys.bad("activation_sparsity_pattern", "is not a share below 1 for each of \(blocks) blocks")
    }
    return list
  }

  func branches(_ block: Int) -> [Branch] {
    let n = numbers
    func norm(_ role: TensorRole) -> Norm { n.rootMeanSquareNorm(role) }
    let router = LaneRouter(lanes, norm: norm(.laneRouterNorm))
    var attention = n.attention(rope: parts.isWindowed[block] ? local : global)
    parts.complete(&attention, block: block, n)
    attention.window = parts.isWindowed[block] ? window : nil
    var feedForward = n.feedForward(activation, innerSize: sizes[block])
    if sparsity[block] > 0 {
      feedForward.sparsity = GaussianSparsity(deviations: Gemma3nFacts.deviations(sparsity[block]), isOfSample: isStored)
    }
    let residual = LearnedResidual(width: n.hiddenSize, rank: rank, norm: norm(.residualNorm))
    let addition = LaneAddition(lanes, Branch(norm: nil, gate, outputNorm: norm(.embeddingGateNorm)), hasScale: scalesLane)
    return [
      Branch(norm: nil, LanePrediction(router), residual: .nothing),
      Branch(norm: norm(.attentionNorm), attention, outputNorm: norm(.attentionOutputNorm)),
      Branch(norm: norm(.attentionNorm), residual, sumFactor: Float(0.5).squareRoot(), readsWithPrevious: true),
      Branch(norm: norm(.feedForwardNorm), feedForward, outputNorm: norm(.feedForwardOutputNorm)),
      Branch(norm: nil, LaneCorrection(router), residual: .nothing),
      Branch(norm: nil, addition, residual: .nothing),
    ]
  }

  /// How many standard deviations above its mean a normal distribution exceeds with all but this share, rounded as PyTorch does.
  private static func deviations(_ share: Double) -> Float {
    let wanted = Double(2 * Float(share) - 1)
    // The error function grows, so its inverse is found between two bounds.
    var (low, high) = (-6.0, 6.0)
    while case let middle = (low + high) / 2, middle > low, middle < high {
      if erf(middle) < wanted { low = middle } else { high = middle }
    }
    return Float(high) * Float(2).squareRoot()
  }

  // MARK: What llama.cpp has as constants

  private static let knownSparseBlocks = 10
  private static let knownSparsity = 0.95
  private static let knownCap = 30.0
  private static let knownRank = 64
  private static let knownWidth = 256
  private static let knownLanes = 4
  /// The first block that uses keys and values of others; the two before it have those for blocks with a window, and for the others.
  private static let knownSharing = 20

  /// Why llama.cpp would not compute this model; nil: it does.
  var obstacle: String? {
    let n = numbers
    func other(_ what: String, _ constant: some CustomStringConvertible) -> String {
      "llama.cpp has \(what) \(constant) in 'gemma3n', but this model another"
    }
    if activation != .geluTanh { return "llama.cpp has another activation in 'gemma3n' than this model" }
    if window == 0 { return "llama.cpp needs an attention window in 'gemma3n', but this model has none" }
    if let obstacle = global.obstacle("gemma3n") ?? local.obstacle("gemma3n") { return obstacle }
    if local.scaling != .none { return "llama.cpp does not scale the frequencies of blocks with a window in 'gemma3n'" }
    if lanes.count != Gemma3nFacts.knownLanes { return other("the number of hidden states", Gemma3nFacts.knownLanes) }
    if lanes.active != 0 { return other("the active hidden state", 0) }
    if !scalesLane { return "llama.cpp scales the active hidden state in 'gemma3n', but this model does not" }
    if rank != Gemma3nFacts.knownRank { return other("residual connections of rank", Gemma3nFacts.knownRank) }
    if gate.innerSize != Gemma3nFacts.knownWidth { return other("embeddings of blocks of width", Gemma3nFacts.knownWidth) }
    if cap != Gemma3nFacts.knownCap { return other("the bound of logits", Gemma3nFacts.knownCap) }
    if sparsity != sparsity.indices.map({ $0 < Gemma3nFacts.knownSparseBlocks ? Gemma3nFacts.knownSparsity : 0 }) {
      return "llama.cpp silences \(Gemma3nFacts.knownSparsity) of the gates of the first \(Gemma3nFacts.knownSparseBlocks) blocks in "
        + "'gemma3n', but this model others"
    }
    if n.blockCount > Gemma3nFacts.knownSharing || parts.firstSharing < n.blockCount {
      let known = Gemma3nFacts.knownSharing
      guard parts.firstSharing == known, n.blockCount > known, parts.isWindowed[known - 2], !parts.isWindowed[known - 1] else {
        return
          "llama.cpp shares keys and values of blocks \(known - 2) and \(known - 1) from block \(known) on in 'gemma3n', but this model"
          + " others"
      }
    }
    if lacksUnreadKeys {
      return "llama.cpp needs the keys and values of blocks that use those of others, which nothing reads, but this folder lacks them"
    }
    return nil
  }

  var stored: Configuration {
    let n = numbers
    var keys = GGUFKeys("gemma3n")
    keys.setCommon(n, rope: global, localTheta: local.theta, statesHeadSize: true)
    if listsSizes { keys.set("feed_forward_length", .i32s(sizes.map { Int32(clamping: $0) })) }
    keys.set("final_logit_softcapping", cap)
    keys.set("attention.sliding_window", window)
    keys.set("altup.active_idx", lanes.active)
    keys.set("altup.num_inputs", lanes.count)
    keys.set("embedding_length_per_layer_input", gate.innerSize)
    keys.set("attention.shared_kv_layers", n.blockCount - parts.firstSharing)
    keys.set("activation_sparsity_scale", .f32s(sparsity.map { $0 > 0 ? Gemma3nFacts.deviations($0) : -.infinity }))
    keys.set("attention.sliding_window_pattern", .bools(parts.isWindowed))
    return keys.configuration
  }

  /// Nil if the configuration has no name for a scaling of the rotary embedding.
  var stated: Configuration? {
    var keys = HuggingFaceKeys("Gemma3nForCausalLM", modelType: "gemma3n_text")
    guard parts.state(&keys, numbers, activation, cap: cap, window: window, local: local, global: global) else { return nil }
    keys.set("num_key_value_heads", numbers.keyValueHeadCount)
    keys.set("head_dim", numbers.headSize)
    keys.set("intermediate_size", listsSizes ? .array(sizes.map { .int($0) }) : .int(numbers.feedForwardSize))
    keys.set("hidden_size_per_layer_input", gate.innerSize)
    keys.set("vocab_size_per_layer_input", parts.embedding?.rows ?? numbers.vocabularySize)
    keys.set("altup_active_idx", lanes.active)
    keys.set("altup_num_inputs", lanes.count)
    keys.set("altup_correct_scale", scalesLane)
    keys.set("laurel_rank", rank)
    keys.set("activation_sparsity_pattern", .array(sparsity.map { .shortest($0) }))
    return keys.configuration
  }
}
