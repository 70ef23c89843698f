public import QuantCore

/// What distinguishes one family of decoders like Llama from the others. Common to all: RMS norms, rotary embedding, grouped heads, a
/// gated feed-forward network or a mixture of such, and blocks that are all alike.
public struct LlamaDecoder: Sendable {
  /// Id of the family.
  public var family: String
  /// What a GGUF calls the architecture.
  public var ggufArchitecture: String
  /// Whether llama.cpp's converter interleaves the rows of Q and K for this architecture.
  public var interleavesRotaryRows = false
  /// Linear layers that always have a bias.
  public var biased: Set<TensorRole> = []
  /// Whether `attention_bias` and `mlp_bias` may add biases.
  public var mayHaveBiases = false
  /// Whether every head of Q and K is normalised before the rotary embedding.
  public var normalisesHeads = false
  /// Key-value heads if the configuration does not state them; nil: as many as query heads.
  public var defaultKeyValueHeads: Int?
  /// Head size if a `config.json` does not state it; nil: the hidden size divided by the heads.
  public var defaultHeadSize: Int?
  /// Whether the feed-forward network is a mixture of experts behind a router; nil: the configuration says so.
  public var mixesExperts: Bool? = false
  /// Base of the rotary frequencies if a `config.json` does not state it.
  public var defaultTheta = 10000.0
  /// Epsilon of the norms if a `config.json` does not state it.
  public var defaultNormEpsilon = 1e-6
  /// The attention window that a `config.json` states.
  public var slidingWindow: @Sendable (ConfigurationKeys, _ blockCount: Int) throws(Failure) -> Int? = { _, _ throws(Failure) in nil }
  /// The transformers class that computes a model, depending on whether it has experts and a window.
  public var modelClass: @Sendable (_ hasExperts: Bool, _ hasWindow: Bool) -> LlamaClass
  /// Whether the keys of a GGUF always state the head size, because the configuration class fills it in.
  public var alwaysStatesHeadSize = false
  /// Whether the keys of a GGUF state the vocabulary size and the rotated dimensions.
  public var namesRotation = false
  /// Pairs of channels for each component of a position, if positions have several, which are equal in texts.
  public var rotarySections: [Int]?
  /// Keys of a GGUF after all others, without the architecture's prefix.
  public var furtherKeys: [(key: String, value: MetadataValue)] = []
  /// Whether the keys of a GGUF state the space prefix even for byte-level tokenizers.
  public var statesSpacePrefix = false

  public init(
    family: String, ggufArchitecture: String, modelClass: @escaping @Sendable (_ hasExperts: Bool, _ hasWindow: Bool) -> LlamaClass
  ) {
    self.family = family
    self.ggufArchitecture = ggufArchitecture
    self.modelClass = modelClass
  }

  /// Llama as in a GGUF: Mistral and Mixtral, which have no architecture name of their own there, are recognised by their values.
  /// - Parameter family: the id that the description gets.
  public static func llama(_ family: String) -> LlamaDecoder {
    var decoder = LlamaDecoder(family: family, ggufArchitecture: "llama") { hasExperts, hasWindow in
      hasExperts ? .mixtral : family == "mistral" || hasWindow ? .mistral : .llama
    }
    decoder.interleavesRotaryRows = true
    decoder.alwaysStatesHeadSize = true
    decoder.namesRotation = true
    decoder.statesSpacePrefix = true
    return decoder
  }
}

/// What was read from a model like Llama.
struct LlamaFacts {
  var numbers = DecoderNumbers()
  var rope = Rope()
  var window: Int?
  /// Experts of a block and how many of them a token visits; nil: one feed-forward network.
  var experts: (count: Int, used: Int)?
}

extension LlamaDecoder {
  /// Builds the description that a configuration of this family means.
  public func describe(_ configuration: Configuration, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try read(keys, tensors)
    var decoder = Decoder(family: family, numbers: facts.numbers, norm: facts.numbers.rootMeanSquareNorm(.outputNorm)) {
      _ throws(Failure) in branches(facts)
    }
    decoder.names = names(tensors)
    @Sendable func bias(_ tensor: PartTensor, always: Set<TensorRole>) -> BiasPresence {
      if biased.contains(tensor.role) && tensor.expert == nil { return always.contains(tensor.role) ? .always : .never }
      return mayHaveBias(tensor, keys) ? .optional : .never
    }
    decoder.bias = { bias($0, always: biased) }
    decoder.tabulatedRope = facts.rope
    var model = try decoder.describe()
    // Clients take biases that are not stored for zero; a model without any was trained without them.
    if isWithoutBiases(model, tensors) {
      decoder.bias = { bias($0, always: []) }
      model = try decoder.describe()
    }
    var stored = GGUFKeys(ggufArchitecture)
    stored.rotarySections = rotarySections
    stored.setCommon(
      facts.numbers, rope: facts.rope, experts: facts.experts, statesHeadSize: facts.numbers.statesHeadSize || alwaysStatesHeadSize)
    if namesRotation {
      stored.set("vocab_size", facts.numbers.vocabularySize)
      stored.set("rope.dimension_count", facts.rope.dimension)
    }
    if case .long(let long) = facts.rope.scaling {
      stored.set("rope.scaling.attn_factor", long.attentionFactor)
      stored.set("rope.scaling.original_context_length", long.originalContext)
      if long.originalContext < facts.numbers.contextLength { model.cautions[.gguf, default: []].append(long.caution) }
    }
    for (key, value) in furtherKeys { stored.set(key, value) }
    if statesSpacePrefix { stored.setSpacePrefix() }
    // llama.cpp has tables of LongRoPE in the architecture that it calls Llama.
    model.obstacles[.gguf] = isTabulated(facts.rope) ? nil : facts.rope.obstacle(ggufArchitecture)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored.configuration }
    model.configurations[.huggingFace] = huggingFaceConfiguration(facts, of: model, stored: tensors)
    return model
  }

  /// Whether not one of the biases is stored that the class always has.
  private func isWithoutBiases(_ model: ModelDescription, _ stored: Checkpoint) -> Bool {
    let names = model.tensors.filter { $0.id.isBias && biased.contains($0.id.role) }.compactMap { $0.name(stored.naming) }
    return !names.isEmpty && names.allSatisfy { stored[$0] == nil }
  }

  private func isTabulated(_ rope: Rope) -> Bool {
    switch rope.scaling {
    case .none, .linear, .yarn, .dynamic, .llama3, .proportional, .factors: true
    case .long: ggufArchitecture == "llama"
    }
  }

  private func branches(_ facts: LlamaFacts) -> [Branch] {
    let n = facts.numbers
    var attention = n.attention(rope: facts.rope)
    attention.window = facts.window
    if normalisesHeads { (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm)) }
    let feedForward = n.feedForward()
    let second: any Part =
      if let experts = facts.experts {
        MixtureOfExperts(
          feedForward, expertCount: experts.count, routing: ExpertRouting(expertsPerToken: experts.used, weights: .softmaxOfChosen))
      } else {
        feedForward
      }
    return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
  }

  /// Llama's names, with those that Mixtral's folders use for experts.
  private func names(_ tensors: Checkpoint) -> TensorNames {
    var names = interleavesRotaryRows ? TensorNames.llamaInPairs : .llama
    names.renameExpertsAsMixtral()
    names.stackExpertsOfMixtral(in: tensors)
    return names
  }

  // MARK: Numbers

  private func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> LlamaFacts {
    var facts = LlamaFacts()
    var n = try keys.decoderNumbers(
      defaultKeyValueHeads: defaultKeyValueHeads, defaultHeadSize: defaultHeadSize, defaultNormEpsilon: defaultNormEpsilon,
      tensors: tensors)
    if mixesExperts != false { facts.experts = try experts(keys, n.blockCount) }
    facts.rope = try keys.rope(
      headSize: n.headSize, defaultTheta: defaultTheta, factors: tensors[RopeFactors.name], mayBeYarn: true, longTables: tensors)
    if case .yarn(var yarn) = facts.rope.scaling, yarn.hasUsualFactor {
      // Clients compute it themselves.
      yarn.attentionFactor = nil
      facts.rope.scaling = .yarn(yarn)
    }
    try checkVariant(keys)
    if keys.isStored {
      facts.window = try keys.size("", "attention.sliding_window").flatMap { $0 > 0 ? $0 : nil }
    } else {
      facts.window = try slidingWindow(keys, n.blockCount)
    }
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    facts.numbers = n
    return facts
  }

  /// Refuses features that the engine would compute differently.
  private func checkVariant(_ keys: ConfigurationKeys) throws(Failure) {
    if mixesExperts == false, let experts = try keys.size("num_local_experts", "expert_count"), experts > 0 {
      throw keys.unsupported("model.experts", "the model is a mixture of \(experts) experts")
    }
    try keys.refuseActivations(otherThan: "silu")
  }

  private func experts(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> (count: Int, used: Int)? {
    if mixesExperts == nil, try keys.size("num_local_experts", "expert_count") ?? 0 == 0 { return nil }
    return try keys.experts(count: "num_local_experts", blocks: blocks)
  }

  /// A `config.json` says whether there are biases; in a GGUF, only the tensors show it.
  private func mayHaveBias(_ tensor: PartTensor, _ keys: ConfigurationKeys) -> Bool {
    guard mayHaveBiases, tensor.expert == nil, tensor.kind != .router else { return false }
    return keys.isStored || keys.json(tensor.kind == .feedForward ? "mlp_bias" : "attention_bias")?.boolValue ?? false
  }
}

extension ConfigurationKeys {
  /// Experts of all blocks together; published models have about ten thousand.
  private static let largestExpertCount = 1 << 17

  /// Experts of a block, and how many of them a token visits.
  /// - Parameters:
  ///   - count: the key in a `config.json`.
  ///   - used: the same.
  public func experts(
    count countKey: String, used usedKey: String = "num_experts_per_tok", blocks: Int
  ) throws(Failure) -> (count: Int, used: Int) {
    guard let count = try size(countKey, "expert_count"), count > 0 else { throw missing(countKey, "expert_count") }
    let used = try positiveSize(usedKey, "expert_used_count")
    guard used <= count else {
      throw Failure(.data, "model.expert-count", "a token cannot visit \(used) of \(count) experts", file: path)
    }
    guard count <= ConfigurationKeys.largestExpertCount / blocks else {
      throw unsupported(
        "model.expert-count", "\(blocks) blocks of \(count) experts are more than \(ConfigurationKeys.largestExpertCount) experts")
    }
    return (count, used)
  }

  /// Whether the output matrix is the embedding. A GGUF of such a model has no output matrix.
  /// - Parameters:
  ///   - value: what is assumed if a `config.json` does not state it.
  ///   - embedding: its name in a folder.
  public func tiesEmbeddings(
    default value: Bool, _ tensors: Checkpoint, output: String = "lm_head.weight", embedding: String
  ) throws(Failure) -> Bool {
    if isStored { return tensors["output.weight"] == nil }
    let isTied = statedTie(output: tensors[output], embedding: tensors[embedding]) ?? value
    if isTied { try tensors.checkTie(output: output, embedding: embedding) }
    return isTied
  }
}
