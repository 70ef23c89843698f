/// What a format needs to lay out an output.
public struct OutputRequest: Sendable {
  /// What is converted.
  public var source: Checkpoint
  /// The model, if a family knows it.
  public var model: ModelDescription?
  /// The tokenizer's data, if there is one.
  public var tokenizer: TokenizerData?
  /// The generation settings contained in the source, as `CheckpointReader.generationSettings` returns them.
  public var generation: [JSON.Member] = []
  /// Output tensors, in order.
  public var tensors: [PlannedTensor]
  /// Name of the preset or scheme asked for (`q4_k_m`), for `general.file_type` and the model card.
  public var presetName: String
  /// How cached keys and values are rounded; nil: not at all.
  public var cache: ActivationScheme?
  /// Ordered facts about how the file was made: version, methods, options, calibration. No times, hosts or paths.
  public var provenance: [(key: String, value: String)]
  /// Name of the output without folder and extension, used if the source does not name itself.
  public var targetName: String
  /// Size limit of a shard in bytes, or nil for one file.
  public var shardSize: Int?
  /// Whether the output is split into files where the source is.
  public var keepsSplit: Bool
  /// Changes to the metadata, in order.
  public var metadataEdits: [MetadataEdit]
  /// Figures that will be measured on the complete output, for a model card.
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

/// A figure that is measured on a complete output.
public struct Figure: Sendable, Equatable {
  /// Identifies the figure when its value is filled in.
  public var id: String
  /// The label that a person reads next to it.
  public var title: String

  public init(id: String, title: String) {
    self.id = id
    self.title = title
  }
}
