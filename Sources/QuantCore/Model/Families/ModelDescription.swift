/// A model as its family describes it: sizes of the whole, what precedes the blocks, each block, what follows them, and every tensor
/// with its place in each naming. The forward pass, the calibration order, the folds, the metadata and the row permutations are all
/// derived from this one value.
public struct ModelDescription: Sendable {
  /// Id of the family (`llama`).
  public var family: String
  /// Channels between blocks.
  public var hiddenSize: Int
  /// Rows of the embedding.
  public var vocabularySize: Int
  /// The sequence length, in tokens, that the model was trained for; 0 if unknown.
  public var contextLength: Int
  /// How tokens become hidden states before the first block.
  public var embedding: EmbeddingDescription
  /// Every block, in order; equal blocks share one description.
  public var blocks: [BlockDescription]
  /// How hidden states become logits after the last block.
  public var head: HeadDescription
  /// Every tensor that the model may have, in the order of the forward pass.
  public private(set) var tensors: [ModelTensor]
  /// The configuration of the model in each naming: for a GGUF the keys of llama.cpp's converter in its order, with
  /// `general.file_type` at its position; for a Hugging Face folder the `config.json` without what concerns tokens and the type of
  /// weights. Absent if the clients of that naming cannot run this model.
  public var configurations: [Naming: Configuration]
  /// Why a naming has no configuration although its clients know models of this kind: a sentence without its full stop.
  public var obstacles: [Naming: String] = [:]
  /// What the clients of a naming compute differently from this model because the format has no key for it: sentences for the user.
  public var cautions: [Naming: [String]] = [:]
  /// Tensors that an output needs besides the model's own: computed tables.
  public var constants: [Naming: [ConstantTensor]]
  /// Prefixes of the names of tensors that do not belong to the language model but, for example, to a vision tower. Outputs of the
  /// same naming keep these tensors as they are; others have no place for them.
  public var otherParts: [Naming: [String]] = [:]
  /// Prefixes of the names of tensors, in the checkpoint that is described, of blocks that predict further tokens. Those that are not
  /// described are treated as other parts.
  public var predictionParts: [String] = []
  /// What of the model no engine computes, as the end of a sentence (`an encoder beside a decoder`): it is converted without calibration, and
  /// neither run nor evaluated. Nil: all is computed.
  public var uncomputed: String?
  /// Whether the checkpoint holds towers beside the language model that is described.
  public var hasTowers = false
  /// Whether it describes the towers of a model, not its language model. Then no block can be run, and only tensors and configurations
  /// mean something.
  public var isOfTowers = false
  private let positions: [TensorID: Int]

  public init(
    family: String, hiddenSize: Int, vocabularySize: Int, contextLength: Int, embedding: EmbeddingDescription,
    blocks: [BlockDescription], head: HeadDescription, tensors: [ModelTensor], configurations: [Naming: Configuration] = [:],
    constants: [Naming: [ConstantTensor]] = [:]
  ) {
    self.family = family
    self.hiddenSize = hiddenSize
    self.vocabularySize = vocabularySize
    self.contextLength = contextLength
    self.embedding = embedding
    self.blocks = blocks
    self.head = head
    self.tensors = tensors
    self.configurations = configurations
    self.constants = constants
    positions = Dictionary(tensors.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The same description with other places in one naming.
  package func replacingPlaces(_ naming: Naming, _ change: (TensorPlace) -> TensorPlace) -> ModelDescription {
    var copy = self
    for index in tensors.indices {
      copy.tensors[index].places[naming] = tensors[index].places[naming].map(change)
      copy.tensors[index].placesOfCodes[naming] = tensors[index].placesOfCodes[naming].map(change)
    }
    return copy
  }

  /// The name of the architecture in a naming (`llama`; `LlamaForCausalLM`), or nil if its clients do not know it.
  public func architecture(_ naming: Naming) -> String? { configurations[naming]?.architecture }

  /// Whether a tensor belongs to another part than the language model.
  package func isOfOtherPart(_ name: String, _ naming: Naming) -> Bool {
    isOfPrediction(name) || otherParts[naming]?.contains { name.hasPrefix($0) } ?? false
  }

  /// Whether a tensor belongs to a block that predicts further tokens.
  package func isOfPrediction(_ name: String) -> Bool { predictionParts.contains { name.hasPrefix($0) } }

  /// The tensor with this id, or nil.
  public func tensor(_ id: TensorID) -> ModelTensor? { positions[id].map { tensors[$0] } }

  /// The kind of a tensor; nil for a tensor that the model does not have.
  public func kind(of id: TensorID) -> TensorKind? { tensor(id)?.kind }

  /// The graph of a block; nil for a block that the model does not have.
  public func graph(_ block: Int) -> BlockGraph? { blocks.indices.contains(block) ? blocks[block].graph : nil }

  /// The site that a tensor's linear layer reads; nil for a tensor that belongs to no linear layer of a block.
  public func input(of id: TensorID) -> Site? { id.block.flatMap { graph($0)?.input(of: id.layer) } }

  /// Whether a matrix makes logits of hidden states: its own, or the embedding.
  package var hasOutputMatrix: Bool { head.pooling == nil && !head.isMissing && !isOfTowers }

  /// The sites of a block in the order of the forward pass, each with its number of channels.
  public func sites(_ block: Int) -> [(site: Site, channels: Int)] {
    guard let graph = graph(block) else { return [] }
    return graph.sites.compactMap { site in
      guard let layer = graph.consumers(of: site).first, let width = tensor(TensorID(layer, block: block))?.shape.last else { return nil }
      return (site, width)
    }
  }

  /// The description itself, if the model has logits.
  /// - Throws: `Failure` `model.no-output`.
  public func givingLogits(file: String) throws(Failure) -> ModelDescription {
    guard head.isMissing else { return self }
    throw Failure(
      .unsupported, "model.no-output", "the class of this model has no output matrix, so there are no logits", file: file,
      remedy: "Convert or calibrate it, or run the model that it was made from.")
  }

  /// Lengths of a sequence beyond which cached values of its earlier tokens are outdated.
  package var lengthLimits: Set<Int> { Set(blocks.flatMap { $0.branches.flatMap(\.part.lengthLimits) }) }

  /// Refuses a model without logits.
  /// - Parameter purpose: what logits are needed for, as a noun.
  /// - Throws: `Failure` `model.no-logits`.
  public func checkLogits(for purpose: String) throws(Failure) {
    guard head.pooling != nil else { return }
    throw Failure(.unsupported, "model.no-logits", "a model of family '\(family)' is an encoder: it has no logits for \(purpose)")
  }

  /// Refuses sequences that need positions beyond the last learned one. Computed positions have no last one.
  /// - Throws: `Failure` `model.position-range`.
  public func checkPositions(_ count: Int) throws(Failure) {
    guard embedding.positionOffset != nil, count > contextLength else { return }
    throw Failure(
      .usage, "model.position-range", "the model has learned \(contextLength) positions, fewer than a sequence of \(count) tokens needs",
      remedy: "Use at most \(contextLength) tokens at once (\(setting: "context") \(contextLength)).")
  }
}

/// How tokens become hidden states before the first block: rows of a table; then, if present, a factor, a projection to the blocks'
/// width, learned positions, a token type, and a norm.
public struct EmbeddingDescription: Sendable, Equatable {
  /// Columns of the table.
  public var width: Int
  /// The factor that rows are multiplied by.
  public var scale: Float
  /// Whether a matrix projects them to the width of the blocks.
  public var isProjected: Bool
  /// The row of position 0 in the table of positions; nil: there is no such table.
  public var positionOffset: Int?
  /// Rows of the table of token types, the first of which is added to every token; nil: there is no such table.
  public var tokenTypes: Int?
  /// Applied to the result.
  public var norm: Norm?
  /// What each block gets of a token besides hidden states; nil: nothing.
  public var perBlock: BlockEmbedding?
  /// The hidden states that each token has side by side; nil: one.
  public var lanes: Lanes?

  public init(width: Int, scale: Float = 1, isProjected: Bool = false, positionOffset: Int? = nil, norm: Norm? = nil) {
    self.width = width
    self.scale = scale
    self.isProjected = isProjected
    self.positionOffset = positionOffset
    self.norm = norm
  }
}

/// What becomes of the hidden states after the last block, once lanes are one. In a language model, they become logits: the product with
/// the output matrix; before it, if present, a norm and a projection to the embedding's width; after it, if present, a bias, a factor and
/// a cap. In an encoder, the hidden states after the norm are the result, and those of a text are pooled to one vector.
public struct HeadDescription: Sendable, Equatable {
  /// Applied after the last block.
  public var norm: Norm?
  /// How the hidden states of a text become one vector; nil: the model makes logits.
  public var pooling: Pooling?
  /// Whether a matrix projects hidden states to the width of the embedding before the output matrix.
  public var isProjected: Bool
  /// Whether the output matrix is the token embedding.
  public var isTied: Bool
  /// Whether the output matrix has a bias.
  public var hasBias = false
  /// The factor that logits are multiplied by.
  public var scale: Float
  /// The bound of logits: each becomes `cap · tanh(logit / cap)`.
  public var cap: Float?
  /// Whether the class has no output matrix, so that hidden states are its result. The description then calls the embedding tied.
  public var isMissing = false

  public init(norm: Norm?, isProjected: Bool = false, isTied: Bool, scale: Float = 1, cap: Float? = nil) {
    self.norm = norm
    self.isProjected = isProjected
    self.isTied = isTied
    self.scale = scale
    self.cap = cap
  }
}

extension HeadDescription {
  /// How an encoder makes one vector of the hidden states of a text.
  public enum Pooling: String, Sendable {
    /// Their mean.
    case mean
    /// That of the first token.
    case cls
    /// That of the last token.
    case last
  }

  /// Of a model without logits.
  public init(norm: Norm?, pooling: Pooling) {
    self.init(norm: norm, isTied: false)
    self.pooling = pooling
  }
}

/// A computed table that a format stores as F32.
public struct ConstantTensor: Sendable, Equatable {
  /// Its name in the output.
  public var name: String
  public var values: [Float]
  /// Its dimensions; none for a single number that is no list.
  public var shape: [Int]

  /// - Parameter shape: nil: a list.
  public init(_ name: String, _ values: [Float], shape: [Int]? = nil) {
    self.name = name
    self.values = values
    self.shape = shape ?? [values.count]
  }
}

/// Describes models of several architectures: tensor names, shapes, and the graph of a block. Mostly data.
public protocol ModelFamily: Plugin {
  /// The architecture names that this family describes, by naming (`LlamaForCausalLM`; `llama`).
  static func architectures(_ naming: Naming) -> [String]
  /// Describes the model of a configuration.
  /// - Parameters:
  ///   - configuration: of a checkpoint whose architecture is one of this family's.
  ///   - tensors: the checkpoint, for what the configuration leaves open (biases, a tied output matrix, vocabulary size).
  /// - Throws: `Failure` if a key is missing or absurd, or a variant is not supported.
  static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription
}

extension ModelFamily { public static var axis: PluginAxis { .family } }
