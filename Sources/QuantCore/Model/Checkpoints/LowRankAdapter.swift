/// A low-rank adapter (LoRA): what fine-tuning adds to some weights of a model, `W + scale · B · A`.
///
/// Paper: arXiv:2106.09685
public struct LowRankAdapter: Sendable {
  /// The naming of its targets.
  public var naming: Naming
  /// What is added to weights.
  public var updates: [LowRankUpdate]
  /// Tensors that replace whole tensors of the model, under the model's names: modules that were trained with it, and biases.
  public var replacements: [CheckpointTensor]
  /// Divided by the rank, it gives the scale of most updates.
  public var alpha: Double
  /// The model that it says it was made for, or nil.
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

  /// Its distinct ranks, in increasing order.
  public var ranks: [Int] { Set(updates.map(\.rank)).sorted() }
}

/// What an adapter adds to some rows of one weight: `scale · outputs · inputsᵀ`.
public struct LowRankUpdate: Sendable {
  /// Name of the weight, in the adapter's naming.
  public var target: String
  /// B, by output of the weight; for an embedding, by token.
  public var outputs: ThinMatrix
  /// A, by input of the weight; for an embedding, by channel.
  public var inputs: ThinMatrix
  public var scale: Double
  /// Outputs of the tensor before the first one that is changed: a GGUF stores the weights of all experts in one tensor.
  public var firstOutput: Int
  /// Number of matrices in the stored tensor, if it is a stack; else nil.
  public var stackCount: Int?
  /// Whether the weight is an embedding.
  public var isEmbedding: Bool
  /// Whether the stored tensor has a row for each input, not for each output. An adapter may not say; a family knows.
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

  /// Index of the matrix of a stack that it is added to.
  public var stackIndex: Int { firstOutput / max(1, outputs.channelCount) }

  /// Stored dimensions of the matrix that it is added to.
  package var shape: [Int] {
    let shape = [outputs.channelCount, inputs.channelCount]
    return isTransposed ? shape.reversed() : shape
  }
}
