import QuantCore

/// What sets one family of decoders with layer norms apart from the others: biases everywhere and a feed-forward layer of two
/// matrices without a gate are common to all.
struct LayerNormDecoder: Sendable {
  /// Names of tensors, or of what stands around the number of a block, per container; nil in `gguf`: llama.cpp has none.
  typealias Name = (role: TensorRole, huggingFace: String, gguf: String?)

  /// How queries, keys and values lie in a container.
  enum Projections {
    /// Three tensors.
    case separate
    /// One tensor, all queries first, then keys, then values.
    case concatenated
    /// One tensor with query, key and value of each head in turn.
    case interleaved
  }

  var family: String
  var ggufArchitecture: String?
  /// In front of every name, in one of the ways in which checkpoints were saved.
  var prefixes: [String]
  /// Between the prefix and the number of a block.
  var blocks: String
  /// Tensors outside of the blocks.
  var outer: [Name]
  /// Tensors of a block. Where projections are one tensor, queries, keys and values have the same name.
  var inner: [Name]
  var projections = Projections.separate
  /// Whether a Hugging Face folder holds the matrices of the blocks as `[in, out]`.
  var isTransposed = false
  /// Whether linear layers have biases.
  var hasBiases = true

  /// Builds the description of a model of these numbers.
  func describe(_ p: HyperParameters, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let prefix = prefixes.first { tensors[$0 + outer[0].huggingFace + ".weight"] != nil } ?? prefixes[0]
    if p.tiesEmbeddings { try tensors.checkTie(output: "lm_head.weight", embedding: prefix + outer[0].huggingFace + ".weight") }
    var list: [ModelTensor] = []
    for name in outer where name.role != .outputNorm && name.role != .outputProjection { list += outerTensors(name, prefix, p) }
    for block in 0..<p.blockCount {
      for name in inner { list += blockTensors(name, block, prefix, p) }
    }
    for name in outer where name.role == .outputNorm || name.role == .outputProjection { list += outerTensors(name, prefix, p) }
    let head = [p.vocabularySize, p.embeddingWidth]
    list.append(
      ModelTensor(
        id: TensorID(.output), shape: head, huggingFace: TensorPlace("lm_head.weight", head),
        gguf: ggufArchitecture.map { _ in TensorPlace("output.weight", head) }, isOptional: p.tiesEmbeddings))
    return ModelDescription(
      family: family, ggufArchitecture: ggufArchitecture, parameters: p, tensors: list, block: LayerNormDecoder.graph(p))
  }

  // MARK: Tensors

  private func outerTensors(_ name: Name, _ prefix: String, _ p: HyperParameters) -> [ModelTensor] {
    let shape: [Int]
    switch name.role {
    case .tokenEmbedding: shape = [p.vocabularySize, p.embeddingWidth]
    case .positionEmbedding:
      guard case .learned(let offset) = p.positions else { return [] }
      shape = [p.contextLength + offset, p.hiddenSize]
    case .inputProjection: shape = [p.hiddenSize, p.embeddingWidth]
    case .outputProjection: shape = [p.embeddingWidth, p.hiddenSize]
    default: shape = [p.hiddenSize]
    }
    let whole = RowLayout()
    return pair(
      TensorID(name.role), shape, prefix + name.huggingFace, name.gguf, layouts: (whole, whole), stored: (shape, shape),
      hasBias: shape.count == 1)
  }

  private func blockTensors(_ name: Name, _ block: Int, _ prefix: String, _ p: HyperParameters) -> [ModelTensor] {
    let shape: [Int]
    switch name.role {
    case .query, .key, .value, .attentionOutput: shape = [p.hiddenSize, p.hiddenSize]
    case .up: shape = [p.feedForwardSize, p.hiddenSize]
    case .down: shape = [p.hiddenSize, p.feedForwardSize]
    default: shape = [p.hiddenSize]
    }
    let part = [TensorRole.query, .key, .value].firstIndex(of: name.role)
    let isFused = part != nil && projections != .separate
    let stored = isFused ? [3 * p.hiddenSize, p.hiddenSize] : shape
    // llama.cpp takes queries, keys and values one after another.
    let own = RowLayout(firstRow: isFused ? (part ?? 0) * p.hiddenSize : 0)
    var folder = own
    if isFused && projections == .interleaved {
      folder = RowLayout(firstRow: (part ?? 0) * p.headSize, order: .spacedHeads(size: p.headSize, stride: 3 * p.headSize))
    }
    folder.isTransposed = isTransposed && shape.count == 2
    return pair(
      TensorID(name.role, block: block), shape, "\(prefix)\(blocks).\(block).\(name.huggingFace)",
      name.gguf.map { "blk.\(block).\($0)" }, layouts: (folder, own),
      stored: (folder.isTransposed ? stored.reversed() : stored, stored), hasBias: shape.count == 1 || hasBiases)
  }

  /// A weight and its bias.
  private func pair(
    _ id: TensorID, _ shape: [Int], _ huggingFace: String, _ gguf: String?, layouts: (RowLayout, RowLayout), stored: ([Int], [Int]),
    hasBias: Bool
  ) -> [ModelTensor] {
    let gguf = ggufArchitecture == nil ? nil : gguf
    let weight = ModelTensor(
      id: id, shape: shape, huggingFace: TensorPlace(huggingFace + ".weight", stored.0, layouts.0),
      gguf: gguf.map { TensorPlace($0 + ".weight", stored.1, layouts.1) })
    guard hasBias else { return [weight] }
    var biasID = id
    biasID.isBias = true
    var layout = layouts.0
    layout.isTransposed = false
    let length = [stored.1[0]]
    return [
      weight,
      ModelTensor(
        id: biasID, shape: [shape[0]], huggingFace: TensorPlace(huggingFace + ".bias", length, layout),
        gguf: gguf.map { TensorPlace($0 + ".bias", length, layouts.1) }),
    ]
  }

  // MARK: Graph

  /// A norm can absorb scales only where nothing but the linear layers reads its output, and the first matrix of the
  /// feed-forward layer only where the activation lets scales through.
  private static func graph(_ p: HyperParameters) -> BlockGraph {
    var folds: [Fold] = []
    let absorbs = p.normPlacement == .before && !p.keepsNormedResidual
    if absorbs { folds.append(Fold(site: .attentionInput, producer: .norm(.attentionNorm))) }
    folds.append(
      Fold(
        site: .attentionOutput, producer: .valueRows(.value, queryHeads: p.headCount, keyValueHeads: p.keyValueHeadCount)))
    if absorbs { folds.append(Fold(site: .feedForwardInput, producer: .norm(.feedForwardNorm))) }
    if p.activation.isHomogeneous { folds.append(Fold(site: .feedForwardOutput, producer: .rows(.up))) }
    return BlockGraph(
      linears: [
        (.query, .attentionInput), (.key, .attentionInput), (.value, .attentionInput), (.attentionOutput, .attentionOutput),
        (.up, .feedForwardInput), (.down, .feedForwardOutput),
      ], folds: folds)
  }
}

extension ConfigurationKeys {
  /// Numbers that all decoders with layer norms have.
  /// - Parameters: the keys of a `config.json`, any of which may be used.
  func layerNormParameters(
    hidden: [String], blocks: [String], heads: [String], epsilon: Double, tensors: Checkpoint
  ) throws(Failure) -> HyperParameters {
    var p = HyperParameters()
    p.norm = .layer
    p.isGated = false
    p.hiddenSize = try positiveSize(hidden, "embedding_length")
    p.blockCount = try positiveSize(blocks, "block_count")
    try check(blockCount: p.blockCount, in: tensors)
    p.headCount = try positiveSize(heads, "attention.head_count")
    p.keyValueHeadCount = p.headCount
    p.headSize = try headSize(hiddenSize: p.hiddenSize, heads: p.headCount)
    p.normEpsilon = epsilon
    if case .gguf = configuration {
      p.tiesEmbeddings = tensors["output.weight"] == nil
    } else {
      p.tiesEmbeddings = json("tie_word_embeddings")?.boolValue ?? true
    }
    return p
  }

  /// The activation that a `config.json` names.
  func activation(_ key: String, default name: String) throws(Failure) -> Activation {
    let name = json(key)?.stringValue ?? name
    switch name {
    case "relu": return .relu
    case "gelu": return .gelu
    case "gelu_new", "gelu_fast", "gelu_pytorch_tanh": return .geluTanh
    default: throw unsupported("model.activation", "the activation '\(name)' is not supported")
    }
  }

  /// Refuses a model whose `config.json` switches on what is not run here.
  func refuse(_ key: String, when value: Bool, _ what: String) throws(Failure) {
    if json(key)?.boolValue == value { throw unsupported("model.variant", "\(what) ('\(key)' is \(value))") }
  }
}
