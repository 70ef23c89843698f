/// What a format needs to lay out an output.
public struct OutputRequest: Sendable {
  /// What is converted.
  public var source: Checkpoint
  /// The model, where a family knows it.
  public var model: ModelDescription?
  /// The tokenizer's data, where there is one.
  public var tokenizer: TokenizerData?
  /// How the source says that the model is meant to be sampled, where it says so inside; as `CheckpointReader.generationSettings`.
  public var generation: [JSON.Member] = []
  /// Output tensors, in their order.
  public var tensors: [PlannedTensor]
  /// Name of the preset or scheme asked for (`q4_k_m`), for `general.file_type` and the model card.
  public var presetName: String
  /// How keys and values are rounded in a cache; nil: not at all.
  public var cache: ActivationScheme?
  /// Ordered facts about how the file was made: version, methods, options, calibration. No times, hosts or paths.
  public var provenance: [(key: String, value: String)]
  /// Name of the target without folder and extension, used where the source has no name of its own.
  public var targetName: String
  /// Largest shard in bytes, or nil for one file.
  public var shardSize: Int?
  /// Whether the output is cut into files where the source is.
  public var keepsSplit: Bool
  /// Changes to the metadata, in their order.
  public var metadataEdits: [MetadataEdit]
  /// What will be measured when the output is complete, for a model card.
  public var figures: [Figure] = []

  public init(
    source: Checkpoint, model: ModelDescription?, tokenizer: TokenizerData?, tensors: [PlannedTensor], presetName: String,
    cache: ActivationScheme? = nil, provenance: [(key: String, value: String)], targetName: String, shardSize: Int? = nil,
    keepsSplit: Bool = false, metadataEdits: [MetadataEdit] = []
  ) {
    self.source = source
    self.model = model
    self.tokenizer = tokenizer
    self.tensors = tensors
    self.presetName = presetName
    self.cache = cache
    self.provenance = provenance
    self.targetName = targetName
    self.shardSize = shardSize
    self.keepsSplit = keepsSplit
    self.metadataEdits = metadataEdits
  }
}

/// A number that is measured on a complete output.
public struct Figure: Sendable, Equatable {
  /// What the measurement is called where it is handed over.
  public var id: String
  /// What a person reads beside it.
  public var title: String

  public init(id: String, title: String) {
    self.id = id
    self.title = title
  }
}
