/// The numbers of a decoder. Field names are those of the literature; families map them from configuration keys.
public struct HyperParameters: Sendable, Equatable {
  /// Channels between blocks.
  public var hiddenSize = 0
  /// Decoder blocks.
  public var blockCount = 0
  /// Query heads of a block.
  public var headCount = 0
  /// Key-value heads of a block; each serves as many query heads.
  public var keyValueHeadCount = 0
  /// Dimension of one head.
  public var headSize = 0
  /// Channels inside the feed-forward network.
  public var feedForwardSize = 0
  /// Rows of the embedding.
  public var vocabularySize = 0
  /// Tokens that the model was trained to see at once.
  public var contextLength = 0
  /// What is added to the mean square in norms.
  public var normEpsilon = 1e-5
  /// How norms scale.
  public var norm = Norm.rootMeanSquare
  /// Where the two norms of a block stand.
  public var normPlacement = NormPlacement.before
  /// Whether the residual connection carries the norm's output instead of its input.
  public var keepsNormedResidual = false
  /// How positions enter.
  public var positions = Positions.rotary
  /// Rotary embedding of positions, where there is one.
  public var rope = Rope()
  /// What makes the feed-forward layer nonlinear.
  public var activation = Activation.silu
  /// Whether `up` is multiplied by the activated `gate`; else `up` itself is activated.
  public var isGated = true
  /// Experts of a block; 0 for one feed-forward layer.
  public var expertCount = 0
  /// Experts that a token visits.
  public var expertsPerToken = 0
  /// Channels of the embedding, where they are not those between blocks; else nil.
  public var embeddingSize: Int?
  /// Tokens a position may look back, itself included; nil for all.
  public var slidingWindow: Int?
  /// Whether the output matrix is the token embedding.
  public var tiesEmbeddings = false
  /// Whether the configuration states the head size itself (it decides which metadata llama.cpp's converter writes).
  public var statesHeadSize = false

  public init() {}

  /// Columns of the embedding and of the output matrix.
  public var embeddingWidth: Int { embeddingSize ?? hiddenSize }

  /// Refuses sequences that need positions behind the last one that the model has learned. Computed positions have no last one.
  /// - Throws: `Failure` `model.position-range`.
  public func checkPositions(_ count: Int) throws(Failure) {
    guard case .learned = positions, count > contextLength else { return }
    throw Failure(
      .usage, "model.position-range", "the model has learned \(contextLength) positions, fewer than a sequence of \(count) tokens needs",
      remedy: "Use at most \(contextLength) tokens at once (--context \(contextLength)).")
  }
}

/// Formulas of norms over the channels of a token.
public enum Norm: Sendable, Equatable {
  /// Divided by the root of the mean square.
  case rootMeanSquare
  /// The mean subtracted, then divided by the standard deviation; with a bias.
  case layer
}

/// Where the norms of a block stand.
public enum NormPlacement: Sendable, Equatable {
  /// In front of attention and feed-forward layer.
  case before
  /// Behind the residual additions.
  case after
}

/// How a model knows where a token stands.
public enum Positions: Sendable, Equatable {
  /// Queries and keys are turned by angles.
  case rotary
  /// A row of a table is added to the embedding; position 0 is row `offset`.
  case learned(offset: Int)
  /// A bias that falls linearly with the distance is added to attention scores, with a slope for each head (ALiBi).
  case linearBias
}

/// Functions between the matrices of a feed-forward layer.
public enum Activation: String, Sendable, Equatable {
  case silu, relu
  /// By the error function.
  case gelu
  /// By a hyperbolic tangent.
  case geluTanh

  /// Whether `f(s·x) = s·f(x)` for every `s > 0`, so that a scaling passes through.
  public var isHomogeneous: Bool { self == .relu }
}

/// Rotary position embedding. Pairs are (i, i + dimension/2), the convention of Hugging Face.
public struct Rope: Sendable, Equatable {
  /// Base of the frequencies.
  public var theta = 10000.0
  /// Rotated dimensions of a head.
  public var dimension = 0
  /// How frequencies are stretched for long texts.
  public var scaling = Scaling.none

  /// Rules that stretch the frequencies.
  public enum Scaling: Sendable, Equatable {
    case none
    /// Positions divided by a factor.
    case linear(factor: Double)
    /// Llama 3.1: long wavelengths are stretched, short ones kept, a ramp between.
    case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalContext: Int)
    /// Frequencies divided by stored factors (GGUF's `rope_freqs.weight`).
    case factors([Float])
  }

  public init() {}
}
