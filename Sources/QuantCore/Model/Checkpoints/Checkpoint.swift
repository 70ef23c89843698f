/// A model, or an adapter of one, as it lies in a container: tensors on demand, configuration, metadata, and the files that go with it.
///
/// The one value between readers and everything else. Opening reads headers only.
public struct Checkpoint: Sendable {
  /// The path that was opened.
  public var path: String
  /// Id of the format that read it.
  public var format: String
  /// Logical tensors in file order. Tensors of a packing that is understood appear once, under the name of the weight.
  public private(set) var tensors: [CheckpointTensor]
  /// Whose tensor names and configuration keys this container uses.
  public var naming: Naming
  /// The model's configuration; nil for a lone file without any.
  public var configuration: Configuration?
  /// What the checkpoint adds to a model, where it is no model but an adapter; else nil.
  public var adapter: LowRankAdapter?
  /// How inputs of linear layers and cached keys and values are rounded, as the configuration says.
  public var activations = ActivationRecord()
  /// How the container says that its weights are quantized (`gptq`, `compressed-tensors (pack-quantized)`), or nil: it says nothing.
  public var quantization: String?
  /// The object of a configuration that says so, or nil.
  public var quantizationConfiguration: JSON?
  /// Id of the packing that took its quantized tensors apart, or nil.
  public var packing: String?
  /// What is wrong in it, though it could be read.
  public var findings: [Finding] = []
  /// What the container says beside its tensors, as keys and values.
  public var metadata: KeyValues
  /// Folder that holds tokenizer and companion files, or nil: there is none, or the container carries its tokenizer inside.
  public var companionFolder: String?
  /// All files that were opened, to detect input = output and changes during a run.
  public var files: [String]
  /// In which of the files each tensor lies; empty where nobody asks.
  public var fileIndices: [String: Int] = [:]
  /// Blocks that were taken out of the model.
  public package(set) var droppedBlocks = 0
  /// Things worth telling a person: an index whose total size is wrong, an unknown file type.
  public var warnings: [String]
  /// The mappings that tensors read from; a run asks them before it publishes a result.
  public var mappings: [MappedFile]
  private var positions: [String: Int]

  public init(
    path: String, format: String, tensors: [CheckpointTensor], naming: Naming, configuration: Configuration?,
    metadata: KeyValues = KeyValues(), companionFolder: String? = nil, files: [String], warnings: [String] = [],
    mappings: [MappedFile] = []
  ) {
    self.path = path
    self.format = format
    self.tensors = tensors
    self.naming = naming
    self.configuration = configuration
    self.metadata = metadata
    self.companionFolder = companionFolder
    self.files = files
    self.warnings = warnings
    self.mappings = mappings
    positions = Checkpoint.positions(of: tensors)
  }

  /// The same with every tensor as it lies in the container, those that belong together apart.
  package var separated: Checkpoint {
    var copy = self
    copy.replaceTensors(
      tensors.flatMap { tensor in
        let parts = tensor.storage.components(name: tensor.name, shape: tensor.shape)
        return parts.isEmpty ? [tensor] : parts
      })
    return copy
  }

  private static func positions(of tensors: [CheckpointTensor]) -> [String: Int] {
    Dictionary(tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Takes other tensors, which read from the same files.
  package mutating func replaceTensors(_ tensors: [CheckpointTensor]) {
    self.tensors = tensors
    positions = Checkpoint.positions(of: tensors)
  }

  /// Gives every tensor other numbers of the same shape, or its own.
  package mutating func replaceStorage(_ storage: (CheckpointTensor) -> any TensorStorage) {
    for index in tensors.indices { tensors[index].storage = storage(tensors[index]) }
  }

  /// Puts a tensor in the place of the one of its name.
  package mutating func replace(_ tensor: CheckpointTensor) {
    if let position = positions[tensor.name] { tensors[position] = tensor }
  }

  /// Whether it is a model or an adapter.
  public var content: CheckpointContent { adapter == nil ? .model : .adapter }

  /// The tensor with this name, or nil.
  public subscript(name: String) -> CheckpointTensor? { positions[name].map { tensors[$0] } }
}

/// Whose names a container uses: an open value. Formats say which is theirs, and families which names they have under it.
public struct Naming: Sendable, Hashable, RawRepresentable {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
}

/// A model's configuration as its container states it: an object in JSON, or keys and values.
public struct Configuration: Sendable {
  /// What the container calls the architecture: `LlamaForCausalLM`, or `llama`. Its reader knows where it says so.
  public let architecture: String?
  /// The object; nil where there are keys and values.
  public let json: JSON?
  /// Nil where there is an object.
  public let keyValues: KeyValues?

  public init(_ json: JSON, architecture: String?) {
    self.architecture = architecture
    self.json = json
    keyValues = nil
  }

  public init(_ keyValues: KeyValues, architecture: String?) {
    self.architecture = architecture
    json = nil
    self.keyValues = keyValues
  }
}
