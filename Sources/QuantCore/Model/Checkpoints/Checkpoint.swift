/// A model or an adapter as it is stored: tensors that are decoded on demand, configuration, metadata, and companion files.
///
/// Readers produce this value, and everything else works with it. Opening a checkpoint reads headers only.
public struct Checkpoint: Sendable {
  /// The path that was opened.
  public var path: String
  /// Id of the format that read it.
  public var format: String
  /// Logical tensors in file order. The parts of a packed matrix appear as one tensor, under the name of the weight.
  public private(set) var tensors: [CheckpointTensor]
  /// The convention that its tensor names and configuration keys follow.
  public var naming: Naming
  /// The model's configuration; nil for a single file without one.
  public var configuration: Configuration?
  /// What the checkpoint adds to a model, if it is an adapter; else nil.
  public var adapter: LowRankAdapter?
  /// How inputs of linear layers and cached keys and values are rounded, as the configuration says.
  public var activations = ActivationRecord()
  /// How the checkpoint says its weights are quantized (`gptq`, `compressed-tensors (pack-quantized)`), or nil: it says nothing.
  public var quantization: String?
  /// The object of the configuration that says so, or nil.
  public var quantizationConfiguration: JSON?
  /// Id of the packing that unpacked its quantized tensors, or nil.
  public var packing: String?
  /// Problems found while reading that did not prevent it.
  public var findings: [Finding] = []
  /// The metadata of the checkpoint, as keys and values.
  public var metadata: KeyValues
  /// Folder that holds tokenizer and companion files, or nil: there is none, or the file contains its tokenizer.
  public var companionFolder: String?
  /// All files that were opened, to detect input = output and changes during a run.
  public var files: [String]
  /// Index of the shard that holds each tensor; empty if the format does not need it.
  public var fileIndices: [String: Int] = [:]
  /// Number of blocks that were dropped from the model.
  public package(set) var droppedBlocks = 0
  /// Warnings for the user: an index whose total size is wrong, an unknown file type.
  public var warnings: [String]
  /// The mappings that tensors read from; before a run commits its output, it asks them whether their files have changed.
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

  /// The same checkpoint with every tensor as it is stored: those that were put together are separate.
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

  /// Replaces all tensors by others, which read from the same files.
  package mutating func replaceTensors(_ tensors: [CheckpointTensor]) {
    self.tensors = tensors
    positions = Checkpoint.positions(of: tensors)
  }

  /// Gives every tensor a new storage of the same shape, which may be its own.
  package mutating func replaceStorage(_ storage: (CheckpointTensor) -> any TensorStorage) {
    for index in tensors.indices { tensors[index].storage = storage(tensors[index]) }
  }

  /// Replaces the tensor of the same name.
  package mutating func replace(_ tensor: CheckpointTensor) {
    if let position = positions[tensor.name] { tensors[position] = tensor }
  }

  /// What a user must know before relying on the checkpoint: warnings, and findings that change what clients compute.
  public var cautions: [String] { warnings + findings.map(\.sentence) }

  /// Refuses a checkpoint that leaves open what its weights are.
  /// - Throws: `Failure` with the id of the finding.
  public func checkWeightsAreKnown() throws(Failure) {
    guard let finding = findings.first(where: { $0.remedy != nil }) else { return }
    throw Failure(.data, finding.id, finding.message, file: path, tensor: finding.tensor, remedy: finding.remedy)
  }

  /// Whether it is a model or an adapter.
  public var content: CheckpointContent { adapter == nil ? .model : .adapter }

  /// The tensor with this name, or nil.
  public subscript(name: String) -> CheckpointTensor? { positions[name].map { tensors[$0] } }
}

/// A naming convention for tensors and configuration keys: an open value. A format says which one it uses, and a family says which
/// names its tensors have in each.
public struct Naming: Sendable, Hashable, RawRepresentable {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
}

/// A model's configuration as it is stored: a JSON object, or keys and values.
public struct Configuration: Sendable {
  /// The stored name of the architecture: `LlamaForCausalLM`, or `llama`. The reader knows where to find it.
  public let architecture: String?
  /// The object; nil if the configuration is keys and values.
  public let json: JSON?
  /// Keys and values; nil if the configuration is an object.
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
