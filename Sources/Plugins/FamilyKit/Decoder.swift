public import QuantCore

/// Builds the description of a decoder from its hyperparameters, a table of names and a closure that says what a block consists of.
///
/// Most of a family is values: hyperparameters read with `ConfigurationKeys`, parts such as `Attention` made from them, and the names in
/// which the family differs from `TensorNames.llama`. Shapes follow from the parts, places in formats from the table.
public struct Decoder: Sendable {
  /// Id of the family.
  public var family: String
  /// Hyperparameters of the model.
  public var numbers: DecoderNumbers
  /// Tensor names in each format.
  public var names = TensorNames.llama
  /// The names in a block, given its number, if blocks differ in more than their numbers; nil: those of `names`.
  public var blockNames: (@Sendable (Int) -> TensorNames)?
  /// Before the blocks.
  public var embedding: EmbeddingDescription
  /// After the blocks.
  public var head: HeadDescription
  /// Whether a linear layer has a bias, given its weight.
  public var bias: @Sendable (PartTensor) -> BiasPresence = { _ in .never }
  /// The branches of a block, given its number.
  public var block: @Sendable (Int) throws(Failure) -> [Branch]
  /// What follows the blocks to predict further tokens; each is like the last block, or as `predictingBranches` says.
  public var predicting = PredictingBlocks()
  public var predictingBranches: [Branch]?
  /// The rotary embedding whose factors a GGUF stores in tables; nil: there are no such tables.
  public var tabulatedRope: Rope?

  public init(family: String, numbers: DecoderNumbers, norm: Norm?, block: @escaping @Sendable (Int) throws(Failure) -> [Branch]) {
    self.family = family
    self.numbers = numbers
    embedding = EmbeddingDescription(width: numbers.hiddenSize)
    head = HeadDescription(norm: norm, isTied: numbers.tiesEmbeddings)
    self.block = block
  }

  /// The description, without configurations.
  public func describe() throws(Failure) -> ModelDescription {
    var blocks: [BlockDescription] = []
    var distinct: [BlockDescription] = []
    for index in 0..<numbers.blockCount {
      let branches = try block(index)
      let known = distinct.first { $0.branches == branches }
      let description = known ?? BlockDescription(branches)
      if known == nil { distinct.append(description) }
      blocks.append(description)
    }
    var tensors = outer(names.front)
    for (index, block) in blocks.enumerated() { tensors += self.tensors(of: block, index) }
    let prefixes = predicting.prefixes(names, after: numbers.blockCount)
    if let last = predictingBranches.map({ BlockDescription($0) }) ?? blocks.last {
      let further = (0..<predicting.count).flatMap { predictingTensors(last, $0) }
      if predicting.holds(further, prefixes: prefixes) { tensors += further }
    }
    tensors += outer(names.back)
    var model = ModelDescription(
      family: family, hiddenSize: numbers.hiddenSize, vocabularySize: numbers.vocabularySize, contextLength: numbers.contextLength,
      embedding: embedding, blocks: blocks, head: head,
      tensors: tensors + furtherTensors + (tabulatedRope.map { RopeFactors.tensors($0) } ?? []))
    if let tables = tabulatedRope.map({ RopeFactors.tables($0).map(\.table) }), !tables.isEmpty { model.constants[.gguf] = tables }
    model.predictionParts = prefixes
    let ropes = distinct.flatMap { $0.branches.compactMap { ($0.part as? Attention)?.rope } }
    model.cautions[.gguf] = Set(ropes.compactMap(\.caution)).sorted()
    return model
  }

  private func tensors(of block: BlockDescription, _ index: Int) -> [ModelTensor] {
    placement(of: block, blockNames?(index) ?? names, index).tensors(members(of: block))
  }

  /// The tensors of a block that predicts further tokens. As they belong to no block of the forward pass, roles tell them apart.
  private func predictingTensors(_ block: BlockDescription, _ index: Int) -> [ModelTensor] {
    var members = members(of: block)
    for position in members.indices where members[position].tensor.kind.isWeight { members[position].tensor.kind = .prediction }
    members += predicting.tensors(numbers).map { TensorPlacement.Member(tensor: $0) }
    let names = predicting.names(names, after: numbers.blockCount, index)
    var placement = placement(of: block, names, numbers.blockCount + index)
    placement.rolePrefix = "prediction.\(index)."
    return placement.tensors(members)
  }

  private func placement(of block: BlockDescription, _ names: TensorNames, _ index: Int) -> TensorPlacement {
    let attention = block.branches.lazy.compactMap { $0.part as? Attention }.first
    return TensorPlacement(
      names: names.block, table: names, block: index, headSize: attention?.headSize ?? numbers.headSize,
      keyValueHeads: attention?.keyValueHeadCount ?? numbers.keyValueHeadCount)
  }

  private func members(of block: BlockDescription) -> [TensorPlacement.Member] {
    var members: [TensorPlacement.Member] = []
    for branch in block.branches {
      for norm in branch.norms where norm.hasGain && !members.contains(where: { $0.tensor.role == norm.role }) {
        members.append(member(norm, [numbers.hiddenSize]))
      }
      for tensor in branch.part.tensors {
        members.append(
          TensorPlacement.Member(
            tensor: tensor, isOptional: tensor.isOptional,
            bias: tensor.shape.count == 2 ? bias(tensor) : biasedNorms.contains(tensor.role) ? .always : .never))
      }
      if let scale = branch.sumScale { members.append(.init(tensor: PartTensor(scale, [1], .vector), isOptional: true)) }
    }
    return members
  }

  private func member(_ norm: Norm, _ shape: [Int]) -> TensorPlacement.Member {
    TensorPlacement.Member(tensor: PartTensor(norm.role, shape, .norm), bias: norm.formula == .layer ? normBias : .never)
  }

  /// Tensors of a format besides those of the parts: numbers that the description holds already.
  public var furtherTensors: [ModelTensor] = []

  /// Norms inside of parts that have biases.
  public var biasedNorms: Set<TensorRole> = []

  /// Whether layer norms have biases.
  public var normBias = BiasPresence.always

  /// The tensors outside the blocks.
  private func outer(_ rows: [TensorName]) -> [ModelTensor] {
    let (width, hidden, vocabulary) = (embedding.width, numbers.hiddenSize, numbers.vocabularySize)
    var members = [TensorPlacement.Member(tensor: PartTensor(.tokenEmbedding, [vocabulary, width], .embedding))]
    if let offset = embedding.positionOffset {
      members.append(.init(tensor: PartTensor(.positionEmbedding, [numbers.contextLength + offset, hidden], .embedding)))
    }
    if let types = embedding.tokenTypes { members.append(.init(tensor: PartTensor(.tokenTypeEmbedding, [types, hidden], .embedding))) }
    if embedding.isProjected { members.append(.init(tensor: PartTensor(.inputProjection, [hidden, width], .projection))) }
    if let norm = embedding.norm, norm.hasGain { members.append(member(norm, [hidden])) }
    if let own = embedding.perBlock {
      let all = own.width * numbers.blockCount
      members.append(.init(tensor: PartTensor(.blockEmbedding, [own.paddedRows, all], .embedding)))
      members.append(.init(tensor: PartTensor(.blockEmbeddingProjection, [all, hidden], .projection)))
      if own.norm.hasGain { members.append(member(own.norm, [own.width])) }
    }
    if let lanes = embedding.lanes {
      for lane in 1..<max(1, lanes.count) {
        for role in [TensorRole.laneInput(lane), .laneOutput(lane)] {
          members.append(.init(tensor: PartTensor(role, [lanes.width, lanes.width], .projection)))
        }
      }
    }
    if let norm = head.norm, norm.hasGain { members.append(member(norm, [hidden])) }
    if head.isProjected { members.append(.init(tensor: PartTensor(.outputProjection, [width, hidden], .projection))) }
    if head.pooling == nil {
      members.append(
        .init(tensor: PartTensor(.output, [vocabulary, width], .output), isOptional: head.isTied, bias: head.hasBias ? .always : .never))
    }
    return TensorPlacement(
      names: rows, table: names, block: nil, headSize: numbers.headSize, keyValueHeads: numbers.keyValueHeadCount
    ).tensors(members)
  }
}
