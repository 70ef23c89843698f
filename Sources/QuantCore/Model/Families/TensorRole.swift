/// What a tensor does in a model: the gain of a norm, the matrix that makes queries.
///
/// An open value: a part can define its own roles, and no code lists all of them. How a tensor is treated (that it is never
/// quantized, say) is stated by its `TensorKind`.
public struct TensorRole: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
  /// Its name, which appears in messages.
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
  public init(_ name: String) { rawValue = name }
  public var description: String { rawValue }

  /// Before and after the blocks. The projections exist if embeddings are narrower or wider than the blocks.
  public static let tokenEmbedding = TensorRole("tokenEmbedding")
  public static let positionEmbedding = TensorRole("positionEmbedding")
  public static let tokenTypeEmbedding = TensorRole("tokenTypeEmbedding")
  public static let inputProjection = TensorRole("inputProjection")
  public static let embeddingNorm = TensorRole("embeddingNorm")
  public static let outputNorm = TensorRole("outputNorm")
  public static let outputProjection = TensorRole("outputProjection")
  public static let output = TensorRole("output")

  /// An attention: the norms before and after it, and its layers.
  public static let attentionNorm = TensorRole("attentionNorm")
  public static let attentionOutputNorm = TensorRole("attentionOutputNorm")
  public static let query = TensorRole("query")
  public static let key = TensorRole("key")
  public static let value = TensorRole("value")
  public static let attentionOutput = TensorRole("attentionOutput")
  public static let queryNorm = TensorRole("queryNorm")
  public static let keyNorm = TensorRole("keyNorm")
  public static let valueNorm = TensorRole("valueNorm")
  /// One score per head that takes part in the softmax but belongs to no token.
  public static let sinks = TensorRole("sinks")

  /// A feed-forward network or a mixture of experts: the norms before and after it, and its layers.
  public static let feedForwardNorm = TensorRole("feedForwardNorm")
  public static let feedForwardOutputNorm = TensorRole("feedForwardOutputNorm")
  public static let gate = TensorRole("gate")
  public static let up = TensorRole("up")
  public static let down = TensorRole("down")
  /// Scores the experts of a mixture.
  public static let router = TensorRole("router")
  /// Added to the experts' scores when experts are chosen, but not when they are weighted.
  public static let routerCorrection = TensorRole("routerCorrection")
  /// The shared expert, which every token visits besides its own experts, and the matrix of one row that weights it.
  public static let sharedGate = TensorRole("sharedGate")
  public static let sharedUp = TensorRole("sharedUp")
  public static let sharedDown = TensorRole("sharedDown")
  public static let sharedRouter = TensorRole("sharedRouter")

  /// Table of rotary frequency factors; not a weight.
  public static let ropeFactors = TensorRole("ropeFactors")
  /// The two tables of LongRoPE, for short and for long sequences.
  public static let shortRopeFactors = TensorRole("shortRopeFactors")
  public static let longRopeFactors = TensorRole("longRopeFactors")
}

/// How a tensor is treated in quantization, regardless of its role.
public struct TensorKind: Sendable, Hashable {
  /// The name under which lists count such tensors (`norms`).
  public let name: String
  /// Whether a type that is chosen for the whole model applies to it: to matrices and embeddings, not to vectors and computed tables.
  public let isWeight: Bool
  /// Whether it is kept as it is when the linear layers around it are quantized.
  public let isSensitive: Bool

  public init(_ name: String, isWeight: Bool = true, isSensitive: Bool = false) {
    self.name = name
    self.isWeight = isWeight
    self.isSensitive = isSensitive
  }

  /// Tables with a row for each token or position.
  public static let embedding = TensorKind("embeddings")
  /// The matrix that makes logits.
  public static let output = TensorKind("output")
  /// Matrices between embeddings and blocks of another width.
  public static let projection = TensorKind("projections")
  /// Linear layers by the part that they belong to.
  public static let attention = TensorKind("attention")
  public static let feedForward = TensorKind("feed-forward")
  public static let expert = TensorKind("experts")
  /// Linear layers of parts that mix tokens by other means than an attention.
  public static let mixer = TensorKind("mixers")
  /// Small matrices whose products decide what a recurrent state keeps: their errors add up over the tokens.
  public static let control = TensorKind("controls", isSensitive: true)
  /// Matrices that score experts: an error here sends tokens to the wrong expert.
  public static let router = TensorKind("routers", isSensitive: true)
  public static let norm = TensorKind("norms", isWeight: false)
  public static let bias = TensorKind("biases", isWeight: false)
  /// Other vectors that a part computes with.
  public static let vector = TensorKind("vectors", isWeight: false)
  /// Tables that one format stores and clients of another compute.
  public static let constant = TensorKind("tables", isWeight: false)
}

/// Identifies one tensor of a model.
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
  /// The router of a mixture.
  public static let router = Layer(.router)
}

/// A place in a block where activations are observed: the input that a group of linear layers shares, or values that enter a cache.
public struct Site: Sendable, Hashable {
  public var name: String
  public init(_ name: String) { self.name = name }

  /// What queries, keys and values read.
  public static let attentionInput = Site("attention.input")
  /// What attention makes of its inputs, head after head: what the values' matrix would read if values were made of mixed inputs, which is the
  /// same, as both are linear. Observed only if an observer asks for it.
  public static let attendedInput = Site("attention.attended")
  /// What the output projection of the attention reads.
  public static let attentionOutput = Site("attention.output")
  /// What gate and up read.
  public static let feedForwardInput = Site("feed-forward.input")
  /// What down reads.
  public static let feedForwardOutput = Site("feed-forward.output")
  /// What the output matrix reads, after the last block.
  public static let head = Site("head.input")
  /// Keys as they enter the cache, after the rotary embedding: no linear layer reads them.
  public static let keys = Site("attention.keys")
  /// The same keys before the rotary embedding, as clients cache them that rotate what they read.
  public static let unrotatedKeys = Site("attention.keys.unrotated")
  /// Values as they enter the cache.
  public static let values = Site("attention.values")
  /// What gate and up of one expert read: the tokens that the router sends to it.
  public static func expertInput(_ expert: Int) -> Site { Site("feed-forward.input.\(expert)") }
  /// What down of one expert reads.
  public static func expertOutput(_ expert: Int) -> Site { Site("feed-forward.output.\(expert)") }
  /// What down of the shared expert reads.
  public static let sharedOutput = Site("feed-forward.output.shared")
}
