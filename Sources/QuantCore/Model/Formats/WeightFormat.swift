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

  /// Opens a lone file with the configuration and tokenizer of its folder.
  /// - Throws: `Failure` as `weights`; `hf.…` where the configuration asks for something unknown.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let weights = try weights(path)
    let companions = try CompanionFiles(folder: Files.folder(of: path), options: options)
    var warnings: [String] = []
    if let count = ShardName(Files.lastComponent(path))?.count, count > 1 {
      warnings.append("This is one of \(count) shards; open its folder for the whole model.")
    }
    let logical = try companions.logicalTensors([weights], unpackers: options.unpackers)
    var checkpoint = Checkpoint(
      path: path, format: id, tensors: logical.tensors, naming: naming,
      configuration: companions.configuration, metadata: weights.metadata,
      companionFolder: companions.companionFolder, files: [path] + companions.files, warnings: warnings, mappings: [weights.file])
    checkpoint.take(logical, companions)
    return checkpoint
  }
}

/// The name of a shard: `model-00002-of-00003.safetensors`.
public struct ShardName: Sendable, Equatable {
  /// What stands before the numbers.
  public let prefix: String
  /// Counted from 1.
  public let number: Int
  /// How many there are.
  public let count: Int

  /// Nil where the name is not that of a shard.
  public init?(_ name: String) {
    let parts = Files.stem(of: name).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[parts.count - 2] == "of", let count = ShardName.number(parts[parts.count - 1]),
      let number = ShardName.number(parts[parts.count - 3]), number >= 1, number <= count
    else { return nil }
    self.number = number
    self.count = count
    prefix = parts.dropLast(3).joined(separator: "-")
  }

  private static func number(_ digits: Substring) -> Int? {
    digits.utf8.count == 5 && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? Int(digits) : nil
  }
}
