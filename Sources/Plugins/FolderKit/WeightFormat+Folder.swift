public import QuantCore

/// What kinds of weight files have in common: a file alone says nothing of its model, so the files beside it do.
extension WeightFormat {
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

  /// Has the `config.json` beside the file say that some blocks are gone.
  public static func drop(_ blocks: DroppedBlocks, from checkpoint: inout Checkpoint) throws(Failure) {
    try CompanionFiles.drop(blocks, from: &checkpoint)
  }

  public static func role(ofTensor name: String) -> TensorRole? { FolderNames.role(ofTensor: name) }
  public static func isRedundant(_ name: String) -> Bool { FolderNames.isRedundant(name) }
}
