/// A low-rank adapter (LoRA): what fine-tuning adds to some weights of a model, `W + scale · B · A`.
///
/// Paper: arXiv:2106.09685
public struct LowRankAdapter: Sendable {
  /// Whose names its targets have.
  public var naming: Naming
  /// What is added to weights.
  public var updates: [LowRankUpdate]
  /// Tensors of the model that it holds whole, under the names of the model: modules that were trained beside it, and biases.
  public var replacements: [CheckpointTensor]
  /// The number that is divided by the rank to give the scale of most updates.
  public var alpha: Double
  /// What it says about the model that it was made for, or nil.
  public var baseModel: String?

  public init(
    naming: Naming, updates: [LowRankUpdate], replacements: [CheckpointTensor] = [], alpha: Double, baseModel: String? = nil
  ) {
    self.naming = naming
    self.updates = updates
    self.replacements = replacements
    self.alpha = alpha
    self.baseModel = baseModel
  }

  /// Its ranks, the smallest first.
  public var ranks: [Int] { Set(updates.map(\.rank)).sorted() }
}

/// What an adapter adds to some rows of one weight: `scale · outputs · inputsᵀ`.
public struct LowRankUpdate: Sendable {
  /// Name of the weight, as the adapter's container names it.
  public var target: String
  /// B, by output of the weight; for an embedding, by token.
  public var outputs: ThinMatrix
  /// A, by input of the weight; for an embedding, by channel.
  public var inputs: ThinMatrix
  public var scale: Double
  /// Outputs of the weight in front of its first one: weights of experts lie in one tensor of a GGUF.
  public var firstOutput: Int
  /// Matrices that lie in the container's tensor one after another, where it is a stack; else nil.
  public var stackCount: Int?
  /// Whether the weight is an embedding.
  public var isEmbedding: Bool
  /// Whether the container's tensor has a row for each input, not for each output. An adapter may not know; a family does.
  public var isTransposed: Bool

  public init(
    target: String, outputs: ThinMatrix, inputs: ThinMatrix, scale: Double, firstOutput: Int = 0, stackCount: Int? = nil,
    isEmbedding: Bool = false, isTransposed: Bool = false
  ) {
    self.target = target
    self.outputs = outputs
    self.inputs = inputs
    self.scale = scale
    self.firstOutput = firstOutput
    self.stackCount = stackCount
    self.isEmbedding = isEmbedding
    self.isTransposed = isTransposed
  }

  public var rank: Int { outputs.rank }

  /// Which matrix of a stack it is added to.
  public var stackIndex: Int { firstOutput / max(1, outputs.channelCount) }

  /// Dimensions of what it is added to, as the container holds them.
  package var shape: [Int] {
    let shape = [outputs.channelCount, inputs.channelCount]
    return isTransposed ? shape.reversed() : shape
  }
}
