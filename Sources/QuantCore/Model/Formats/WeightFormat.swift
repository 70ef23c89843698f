/// A kind of file that holds tensors by name and says nothing about the model: one of the files of a folder, or a lone file
/// with a `config.json` beside it.
public protocol WeightFormat: CheckpointReader {
  /// Name of the only weight file of a model folder (`model.safetensors`).
  static var singleName: String { get }
  /// Name of the index in a folder with several weight files (`model.safetensors.index.json`).
  static var indexName: String { get }
  /// Whether a file of this name in a model folder holds weights: training leaves other files of the same kind beside them.
  static func holdsWeights(_ name: String) -> Bool
  /// Opens one file. Reads headers only.
  static func weights(_ path: String) throws(Failure) -> WeightFile
}

/// The tensors of one file.
public struct WeightFile: Sendable {
  /// The mapping that all tensors read from.
  public let file: MappedFile
  /// In the order of the file.
  public let tensors: [CheckpointTensor]
  /// What the file says beside its tensors.
  public let metadata: KeyValues

  public init(file: MappedFile, tensors: [CheckpointTensor], metadata: KeyValues = KeyValues()) {
    self.file = file
    self.tensors = tensors
    self.metadata = metadata
  }
}

extension WeightFormat {
  public static var indexName: String { singleName + ".index.json" }

  public static func holdsWeights(_ name: String) -> Bool { fileExtensions.contains { name.hasSuffix("." + $0) } }
}
