/// A model as its family describes it: numbers, tensors, and the graph of one block. From this one value come the
/// forward pass, the calibration order, the folding groups, the metadata and the row permutations.
public struct ModelDescription: Sendable {
  /// Id of the family (`llama`).
  public var family: String
  /// What GGUF calls the architecture (`llama`, `qwen2`), or nil where llama.cpp does not know it.
  public var ggufArchitecture: String?
  /// Its numbers.
  public var parameters: HyperParameters
  /// Every tensor that the model may have, in the order of the forward pass.
  public var tensors: [ModelTensor]
  /// The graph of one block; every block of these families has the same.
  public var block: BlockGraph
  /// The `config.json` from which transformers and this family make the same model, without what concerns its tokens and the
  /// type of its weights; nil where transformers has no class that computes this.
  public var huggingFaceConfiguration: JSON?

  public init(
    family: String, ggufArchitecture: String?, parameters: HyperParameters, tensors: [ModelTensor], block: BlockGraph
  ) {
    self.family = family
    self.ggufArchitecture = ggufArchitecture
    self.parameters = parameters
    self.tensors = tensors
    self.block = block
  }
}

/// What a tensor is for.
public enum TensorRole: String, Sendable, CaseIterable {
  /// In front of the blocks and behind them. A projection stands where embeddings are narrower or wider than the blocks.
  case tokenEmbedding, positionEmbedding, inputProjection, embeddingNorm, outputNorm, outputProjection, output
  case attentionNorm, query, key, value, attentionOutput, queryNorm, keyNorm
  case feedForwardNorm, gate, up, down
  /// Scores the experts of a mixture; never quantized, because an error here sends tokens to the wrong expert.
  case router
  /// Table of rotary frequency factors (GGUF only; not a weight).
  case ropeFactors
}

/// Identity of one tensor of a model.
public struct TensorID: Sendable, Hashable {
  /// What the tensor does.
  public var role: TensorRole
  /// Block index, or nil outside the blocks.
  public var block: Int?
  /// Which expert of a mixture it belongs to, or nil.
  public var expert: Int?
  /// Whether it is the bias of the layer, not its weight.
  public var isBias: Bool
  public init(_ role: TensorRole, block: Int? = nil, expert: Int? = nil, isBias: Bool = false) {
    self.role = role
    self.block = block
    self.expert = expert
    self.isBias = isBias
  }

  /// Weight or bias of a layer of a block.
  public init(_ layer: Layer, block: Int, isBias: Bool = false) {
    self.init(layer.role, block: block, expert: layer.expert, isBias: isBias)
  }

  /// The layer of a block that the tensor belongs to.
  public var layer: Layer { Layer(role, expert: expert) }
}

/// A linear layer within one block.
public struct Layer: Sendable, Hashable {
  /// What it does.
  public var role: TensorRole
  /// Which expert of a mixture it belongs to, or nil.
  public var expert: Int?
  public init(_ role: TensorRole, expert: Int? = nil) {
    self.role = role
    self.expert = expert
  }

  /// The layers of a block without experts.
  public static let query = Layer(.query)
  public static let key = Layer(.key)
  public static let value = Layer(.value)
  public static let attentionOutput = Layer(.attentionOutput)
  public static let gate = Layer(.gate)
  public static let up = Layer(.up)
  public static let down = Layer(.down)
  /// The router in front of the experts.
  public static let router = Layer(.router)
}

/// A place in a block where activations are observed: the input of a group of linear layers that share it.
public struct Site: Sendable, Hashable {
  public var name: String
  public init(_ name: String) { self.name = name }

  /// What queries, keys and values read.
  public static let attentionInput = Site("attention.input")
  /// What the output projection of the attention reads.
  public static let attentionOutput = Site("attention.output")
  /// What gate and up read.
  public static let feedForwardInput = Site("feed-forward.input")
  /// What down reads.
  public static let feedForwardOutput = Site("feed-forward.output")
  /// Keys as they enter the cache, after the rotary embedding: no linear layer reads them.
  public static let keys = Site("attention.keys")
  /// Values as they enter the cache.
  public static let values = Site("attention.values")
  /// What gate and up of one expert read: the tokens that the router sends to it.
  public static func expertInput(_ expert: Int) -> Site { Site("feed-forward.input.\(expert)") }
  /// What down of one expert reads.
  public static func expertOutput(_ expert: Int) -> Site { Site("feed-forward.output.\(expert)") }
}

/// Who feeds whom inside one block.
public struct BlockGraph: Sendable {
  /// Linear layers with the site that is their input, in the order of the forward pass.
  public var linears: [(layer: Layer, input: Site)]
  /// Where a diagonal scaling of a site's channels can be absorbed by the producer.
  public var folds: [Fold]

  public init(linears: [(layer: Layer, input: Site)], folds: [Fold]) {
    self.linears = linears
    self.folds = folds
  }

  /// The linear layers that read a site.
  public func consumers(of site: Site) -> [Layer] { linears.filter { $0.input == site }.map(\.layer) }
  /// Every linear layer whose columns must be scaled when a fold is applied.
  public func consumers(of fold: Fold) -> [Layer] { fold.sites.flatMap { consumers(of: $0) } }
  /// What a layer reads, or nil for a layer that is not of this block.
  public func input(of layer: Layer) -> Site? { linears.first { $0.layer == layer }?.input }
  /// Whether the layers that read a site belong to one expert of a mixture.
  public func isOfExpert(_ site: Site) -> Bool { consumers(of: site).contains { $0.expert != nil } }
  /// The sites of a block in the order of the forward pass.
  public var sites: [Site] {
    var seen: [Site] = []
    for linear in linears where !seen.contains(linear.input) { seen.append(linear.input) }
    return seen
  }
}

/// A site whose channels can be scaled by dividing its producer.
public struct Fold: Sendable {
  /// What makes the values of a site, and so can absorb a scale.
  public enum Producer: Sendable, Equatable {
    /// A norm's gain (and bias): channel for channel.
    case norm(TensorRole)
    /// Rows of a linear layer (and its bias): channel for channel, also through a gate's product.
    case rows(Layer)
    /// Rows of the value projection, through grouped heads: the channels of all query heads that share a key-value head
    /// must have one scale.
    case valueRows(Layer, queryHeads: Int, keyValueHeads: Int)
  }

  /// The site whose values are scaled.
  public var site: Site
  /// Further sites that receive the same channels, if only for some tokens: the inputs of experts behind a router.
  public var dependents: [Site]
  /// What is divided in return.
  public var producer: Producer

  public init(site: Site, dependents: [Site] = [], producer: Producer) {
    self.site = site
    self.dependents = dependents
    self.producer = producer
  }

  /// All sites whose values are scaled.
  public var sites: [Site] { [site] + dependents }
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
