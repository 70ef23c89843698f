public import QuantCore

/// What distinguishes one family of decoders or encoders with layer norms from the others. Common to all: blocks that are all alike, but for experts in some. Most have biases
/// everywhere and a feed-forward network of two matrices without a gate.
public struct LayerNormDecoder: Sendable {
  /// Id of the family.
  public var family: String
  /// What a GGUF calls the architecture; nil if llama.cpp does not support it.
  public var ggufArchitecture: String?
  /// Tensor names. If llama.cpp does not support the architecture, those for a GGUF are omitted.
  public var names: TensorNames
  /// Prefixes of names in a folder, one of which a checkpoint uses.
  public var prefixes: [String]
  /// Whether linear layers have biases.
  public var hasBiases = true
  /// The layers that then have one; nil: all.
  public var biased: Set<TensorRole>?
  /// Whether a GGUF states the number of key-value heads.
  public var statesKeyValueHeads = true
  /// Keys of a GGUF that come first, in this order.
  public var keyOrder: [String] = []
  /// Adds the keys of a GGUF that only this family has.
  public var finish: @Sendable (inout GGUFKeys) -> Void = { _ in }

  public init(family: String, ggufArchitecture: String? = nil, prefixes: [String], names: TensorNames) {
    self.family = family
    self.ggufArchitecture = ggufArchitecture
    self.prefixes = prefixes
    self.names = names
  }

  /// How one model differs from others of the family.
  public struct Variant: Sendable {
    /// Rows of the position table before that of position 0; nil: positions are not learned.
    public var positionOffset: Int?
    /// Whether a bias that decreases linearly with distance is added to attention scores.
    public var hasLinearBias = false
    /// How queries and keys are rotated to their positions; nil: they are not.
    public var rope: Rope?
    /// Tokens that a position sees, its own included; nil for all.
    public var window: Int?
    /// Whether the feed-forward network has a gate.
    public var isGated = false
    /// Whether both branches read the hidden states that enter the block.
    public var isParallel = false
    /// Whether both branches read them through one norm, that of the attention.
    public var sharesNorm = false
    /// Whether the output matrix has a bias.
    public var hasOutputBias = false
    /// Between the matrices of the feed-forward network.
    public var activation = Activation.gelu
    /// Whether the norms of a block are applied after the residual additions, not before the branches.
    public var hasNormsOverSums = false
    /// What the result of a branch is added to.
    public var residual = Branch.Residual.input
    /// Whether embeddings are normalised.
    public var normalisesEmbedding = false
    /// Whether there is a norm after the last block.
    public var hasOutputNorm = true
    /// How an encoder makes one vector of a text, in which every token sees all others; nil: a decoder.
    public var pooling: HeadDescription.Pooling?
    /// Rows of the table of token types; nil: there is no such table.
    public var tokenTypes: Int?
    /// The mixture of experts in place of some feed-forward networks; nil: there is none.
    public var mixture: MixtureOfExperts?
    /// Of this many blocks, the second has the mixture.
    public var mixturePeriod = 0
    /// Channels of the embedding, if they differ from those between blocks.
    public var embeddingSize: Int?

    public init() {}
  }

  /// Builds the description of a model with these hyperparameters.
  public func describe(_ n: DecoderNumbers, _ variant: Variant, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    var decoder = Decoder(family: family, numbers: n, norm: variant.hasOutputNorm ? n.layerNorm(.outputNorm) : nil) {
      block throws(Failure) in LayerNormDecoder.branches(n, variant, block)
    }
    decoder.names = names
    let embedding = names.front.first?.places[.huggingFace]?.name ?? ""
    let prefix = prefixes.first { tensors[$0 + embedding + ".weight"] != nil } ?? prefixes[0]
    if n.tiesEmbeddings { try tensors.checkTie(output: "lm_head.weight", embedding: prefix + embedding + ".weight") }
    decoder.names.prefixes[.huggingFace] = prefix
    if ggufArchitecture == nil { decoder.names.drop(.gguf) }
    let (hasBiases, biased) = (hasBiases, biased)
    decoder.bias = { layer in
      hasBiases && (layer.kind == .attention || layer.kind == .feedForward) && biased?.contains(layer.role) ?? true ? .always : .never
    }
    decoder.embedding = EmbeddingDescription(
      width: variant.embeddingSize ?? n.hiddenSize, isProjected: variant.embeddingSize != nil, positionOffset: variant.positionOffset,
      norm: variant.normalisesEmbedding ? n.layerNorm(.embeddingNorm) : nil)
    decoder.embedding.tokenTypes = variant.tokenTypes
    if let pooling = variant.pooling { decoder.head = HeadDescription(norm: decoder.head.norm, pooling: pooling) }
    decoder.head.isProjected = variant.embeddingSize != nil
    decoder.head.hasBias = variant.hasOutputBias
    var model = try decoder.describe()
    if let ggufArchitecture {
      var stored = GGUFKeys(ggufArchitecture)
      stored.order = keyOrder
      stored.setCommon(n, rope: variant.rope, layerNorms: true, statesKeyValueHeads: statesKeyValueHeads, statesHeadSize: n.statesHeadSize)
      finish(&stored)
      model.configurations[.gguf] = stored.configuration
    }
    return model
  }

  private static func branches(_ n: DecoderNumbers, _ variant: Variant, _ block: Int) -> [Branch] {
    var attention = n.attention(rope: variant.rope)
    attention.hasLinearBias = variant.hasLinearBias
    attention.isCausal = variant.pooling == nil
    attention.window = variant.window
    let hasExperts = variant.mixturePeriod > 0 && block % variant.mixturePeriod == 1
    let feedForward: any Part =
      if hasExperts, let mixture = variant.mixture { mixture } else {
        n.feedForward(variant.activation, isGated: variant.isGated)
      }
    func branch(_ role: TensorRole, _ part: any Part) -> Branch {
      let norm = n.layerNorm(role)
      return Branch(
        norm: variant.hasNormsOverSums ? nil : norm, part, residual: variant.residual, sumNorm: variant.hasNormsOverSums ? norm : nil)
    }
    var second = branch(variant.sharesNorm ? .attentionNorm : .feedForwardNorm, feedForward)
    second.readsWithPrevious = variant.isParallel
    return [branch(.attentionNorm, attention), second]
  }
}

extension TensorNames {
  /// Drops the names of one format.
  mutating func drop(_ naming: Naming) {
    for index in front.indices { front[index].places[naming] = nil }
    for index in block.indices { block[index].places[naming] = nil }
    for index in back.indices { back[index].places[naming] = nil }
  }
}

extension ConfigurationKeys {
  /// The hyperparameters that all decoders with layer norms have.
  /// - Parameters: alternative keys of a `config.json`; without a key for key-value heads, there are as many as query heads.
  public func layerNormNumbers(
    hidden: [String], blocks: [String], heads: [String], keyValueHeads: String = "", epsilon: Double, tensors: Checkpoint
  ) throws(Failure) -> DecoderNumbers {
    var n = DecoderNumbers()
    n.hiddenSize = try positiveSize(hidden, "embedding_length")
    n.blockCount = try positiveSize(blocks, "block_count")
    try check(blockCount: n.blockCount, in: tensors)
    n.headCount = try positiveSize(heads, "attention.head_count")
    n.keyValueHeadCount = try size(keyValueHeads, "attention.head_count_kv") ?? n.headCount
    guard n.keyValueHeadCount > 0, n.headCount.isMultiple(of: n.keyValueHeadCount) else {
      throw Failure(
        .data, "model.head-count", "\(n.headCount) attention heads cannot share \(n.keyValueHeadCount) key-value heads", file: path)
    }
    n.headSize = try headSize(hiddenSize: n.hiddenSize, heads: n.headCount)
    if let stated = try size("head_dim", "attention.key_length"), stated != n.headSize {
      throw unsupported("model.head-size", "heads of \(stated) dimensions do not divide the hidden size \(n.hiddenSize) among them")
    }
    n.normEpsilon = epsilon
    if isStored {
      n.tiesEmbeddings = tensors["output.weight"] == nil
    } else {
      n.tiesEmbeddings = json("tie_word_embeddings")?.boolValue ?? true
    }
    return n
  }
}
