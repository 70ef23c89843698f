/// A model as its family describes it: numbers of the whole, what stands in front of the blocks, each block, what stands behind them,
/// and every tensor with its place in each container. From this one value come the forward pass, the calibration order, the folding
/// groups, the metadata and the row permutations.
public struct ModelDescription: Sendable {
  /// Id of the family (`llama`).
  public var family: String
  /// Channels between blocks.
  public var hiddenSize: Int
  /// Rows of the embedding.
  public var vocabularySize: Int
  /// Tokens that the model was trained to see at once; 0 where nobody says.
  public var contextLength: Int
  /// What becomes of tokens in front of the first block.
  public var embedding: EmbeddingDescription
  /// Every block; those that are equal share one description.
  public var blocks: [BlockDescription]
  /// What becomes of hidden states behind the last block.
  public var head: HeadDescription
  /// Every tensor that the model may have, in the order of the forward pass.
  public private(set) var tensors: [ModelTensor]
  /// What the configuration of a container says of the model, by whose names the container uses: for a GGUF the keys of llama.cpp's
  /// converter in its order, with `general.file_type` where its value belongs; for a Hugging Face folder the `config.json` without
  /// what concerns tokens and the type of weights. Absent where the programs that read such a container do not compute this model.
  public var configurations: [Naming: Configuration]
  /// Why there is no configuration for a container although its programs know models of this kind, as a sentence without its full stop.
  public var obstacles: [Naming: String] = [:]
  /// What programs that read a container compute otherwise than this model, and the container has no key for: sentences for people.
  public var cautions: [Naming: [String]] = [:]
  /// Tensors that a container wants beside the model's own: computed tables.
  public var constants: [Naming: [ConstantTensor]]
  /// What names of tensors begin with in a container that belong to other parts than the language model, such as a vision tower.
  /// Containers of the same names keep them as they are; others have no place for them.
  public var otherParts: [Naming: [String]] = [:]
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

  /// The same with other places in one kind of container.
  package func replacingPlaces(_ naming: Naming, _ change: (TensorPlace) -> TensorPlace) -> ModelDescription {
    var copy = self
    for index in tensors.indices { copy.tensors[index].places[naming] = tensors[index].places[naming].map(change) }
    return copy
  }

  /// What a container calls the architecture (`llama`; `LlamaForCausalLM`), or nil where its readers do not know it.
  public func architecture(_ naming: Naming) -> String? { configurations[naming]?.architecture }

  /// Whether a tensor belongs to another part than the language model.
  package func isOfOtherPart(_ name: String, _ naming: Naming) -> Bool { otherParts[naming]?.contains { name.hasPrefix($0) } ?? false }

  /// The tensor of this identity, or nil.
  public func tensor(_ id: TensorID) -> ModelTensor? { positions[id].map { tensors[$0] } }

  /// What follows from the nature of a tensor; nil for one that is not of the model.
  public func kind(of id: TensorID) -> TensorKind? { tensor(id)?.kind }

  /// Who feeds whom in a block; nil for a block that the model does not have.
  public func graph(_ block: Int) -> BlockGraph? { blocks.indices.contains(block) ? blocks[block].graph : nil }

  /// What the linear layer reads that a tensor belongs to; nil for one that belongs to no linear layer of a block.
  public func input(of id: TensorID) -> Site? { id.block.flatMap { graph($0)?.input(of: id.layer) } }

  /// The sites of a block in the order of the forward pass, each with its number of channels.
  public func sites(_ block: Int) -> [(site: Site, channels: Int)] {
    guard let graph = graph(block) else { return [] }
    return graph.sites.compactMap { site in
      guard let layer = graph.consumers(of: site).first, let width = tensor(TensorID(layer, block: block))?.shape.last else { return nil }
      return (site, width)
    }
  }

  /// Refuses sequences that need positions behind the last one that the model has learned. Computed positions have no last one.
  /// - Throws: `Failure` `model.position-range`.
  public func checkPositions(_ count: Int) throws(Failure) {
    guard embedding.positionOffset != nil, count > contextLength else { return }
    throw Failure(
      .usage, "model.position-range", "the model has learned \(contextLength) positions, fewer than a sequence of \(count) tokens needs",
      remedy: "Use at most \(contextLength) tokens at once (--context \(contextLength)).")
  }
}

/// What becomes of tokens in front of the first block: rows of a table; then, each where there is one, a factor, a projection to the
/// blocks' width, learned positions, and a norm.
public struct EmbeddingDescription: Sendable, Equatable {
  /// Columns of the table.
  public var width: Int
  /// What rows are multiplied by.
  public var scale: Float
  /// Whether a matrix makes rows of the blocks' width of them.
  public var isProjected: Bool
  /// Rows of the table of positions in front of that of position 0; nil: positions enter elsewhere.
  public var positionOffset: Int?
  /// Over the result.
  public var norm: Norm?

  public init(width: Int, scale: Float = 1, isProjected: Bool = false, positionOffset: Int? = nil, norm: Norm? = nil) {
    self.width = width
    self.scale = scale
    self.isProjected = isProjected
    self.positionOffset = positionOffset
    self.norm = norm
  }
}

/// What becomes of hidden states behind the last block: a norm, a projection to the embedding's width, the product with the output
/// matrix, a factor and a cap, each where there is one.
public struct HeadDescription: Sendable, Equatable {
  /// In front of the output matrix.
  public var norm: Norm?
  /// Whether a matrix makes rows of the embedding's width in front of the output matrix.
  public var isProjected: Bool
  /// Whether the output matrix is the token embedding.
  public var isTied: Bool
  /// What logits are multiplied by.
  public var scale: Float
  /// What logits stay below: each becomes `cap · tanh(logit / cap)`.
  public var cap: Float?

  public init(norm: Norm?, isProjected: Bool = false, isTied: Bool, scale: Float = 1, cap: Float? = nil) {
    self.norm = norm
    self.isProjected = isProjected
    self.isTied = isTied
    self.scale = scale
    self.cap = cap
  }
}

/// A computed table that a container stores as F32.
public struct ConstantTensor: Sendable, Equatable {
  /// Its name in the container.
  public var name: String
  public var values: [Float]

  public init(_ name: String, _ values: [Float]) {
    self.name = name
    self.values = values
  }
}

/// What feeds what inside a model: names, shapes, graph. Mostly data.
public protocol ModelFamily: Plugin {
  /// Architecture names this family answers to, per naming (`LlamaForCausalLM`; `llama`).
  static func architectures(_ naming: Naming) -> [String]
  /// The model behind a configuration.
  /// - Parameters:
  ///   - configuration: of a checkpoint whose architecture is one of this family's.
  ///   - tensors: of the checkpoint, to learn what the configuration leaves open (biases, a tied head, vocabulary size).
  /// - Throws: `Failure` where a key is missing or absurd, or a variant is not supported.
  static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription
}

extension ModelFamily { public static var axis: PluginAxis { .family } }
