import FolderKit
public import QuantCore

/// A model folder as the Hugging Face hub and the transformers library lay it out: `config.json`, one or several weight files
/// with an index, and the tokenizer's files. Weights are safetensors, or of a format that another plug-in reads.
///
/// The index and the shards must agree on every tensor: clients that trust only one of them would see different models.
///
/// Specification: https://huggingface.co/docs/transformers/big_models
public struct HuggingFaceFormat: Sendable {
  public static let id = "huggingface"
  public static let summary = "A model folder: config.json, weights (safetensors or PyTorch) with their index, and the tokenizer."
  public static let reference = "https://huggingface.co/docs/transformers/big_models"
  public static let fileExtensions: [String] = []
  public static let isFolder = true
  public static let naming = Naming(rawValue: "huggingFace")

  /// Whether the path is a folder with a configuration or with safetensors files.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFolder(path), let names = try? Files.list(path) else { return false }
    return FolderCauses.isNearModel(names)
      || names.contains { $0 == "config.json" || $0 == SafetensorsFormat.indexName || SafetensorsFormat.holdsWeights($0) }
  }

  /// Opens the folder. Reads the headers of all shards, the index and the configuration.
  /// - Throws: `Failure` `input.…`, `json.…`, `limit.…`, `hf.…`, and what the format of its weight files throws.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let names = try Files.list(path)
    try FolderCauses.check(path, names)
    let format = try weightFormat(of: names, in: path, options.weightFormats)
    var index: ShardIndex?
    var files: [String] = []
    var warnings = FolderCauses.warnings(names)
    if names.contains(format.indexName), try !ShardIndex.isStale(in: path, names, format, &warnings) {
      let file = Files.join(path, format.indexName)
      index = try ShardIndex(file)
      files.append(file)
    }
    let shardNames = try index.map { try $0.shards(in: path, names, format, &warnings) } ?? weightFiles(in: path, names, format, &warnings)
    let companions = try CompanionFiles(folder: path, options: options)
    if companions.configuration == nil { warnings.append("The folder has no config.json.") }
    for name in CopiedFiles.names where CompanionFiles.leadsOutside(Files.join(path, name)) {
      warnings.append(
        "\(name) is a link to a file outside of the folder; a folder that is written will not have it."
      )
    }
    let shards = try shardNames.map { try format.weights(Files.join(path, $0)) }
    try checkTensors(shards, named: shardNames, index: index, &warnings)
    var metadata = shards.first?.metadata ?? KeyValues()
    for (key, value) in ModelCard.keyValues(folder: path).entries { metadata[key] = value }
    let logical = try companions.logicalTensors(shards, unpackers: options.unpackers)
    var checkpoint = Checkpoint(
      path: path, format: id, tensors: logical.tensors, naming: naming,
      configuration: companions.configuration, metadata: metadata,
      companionFolder: companions.companionFolder ?? path,
      files: files + shardNames.map { Files.join(path, $0) } + companions.files, warnings: warnings,
      mappings: shards.map { $0.file })
    checkpoint.take(logical, companions)
    return checkpoint
  }

  public static func role(ofTensor name: String) -> TensorRole? { FolderNames.role(ofTensor: name) }
  public static func isRedundant(_ name: String) -> Bool { FolderNames.isRedundant(name) }

  public static func drop(_ blocks: DroppedBlocks, from checkpoint: inout Checkpoint) throws(Failure) {
    try CompanionFiles.drop(blocks, from: &checkpoint)
  }

  /// The format of a folder's weight files: safetensors, else the first of the others that is found.
  private static func weightFormat(
    of names: [String], in path: String, _ others: [any WeightFormat.Type]
  ) throws(Failure) -> any WeightFormat.Type {
    let known = [SafetensorsFormat.self] + others
    for format in known where names.contains(where: { $0 == format.indexName || format.holdsWeights($0) }) { return format }
    let endings = known.flatMap { $0.fileExtensions.map { "." + $0 } }
    throw FolderCauses.withoutWeights(path, names, formats: Set(endings).sorted())
  }

  /// The weight files of a folder without an index.
  private static func weightFiles(
    in path: String, _ names: [String], _ format: any WeightFormat.Type, _ warnings: inout [String]
  ) throws(Failure) -> [String] {
    if names.contains(format.singleName) { return [format.singleName] }
    var weights = names.filter { format.holdsWeights($0) }
    // A copy of the model in its publisher's own format.
    let others = weights.filter { !$0.hasPrefix("consolidated") }
    if !others.isEmpty { weights = others }
    if weights.count == 1, ShardName(weights[0]) == nil { return weights }
    let shards = weights.compactMap { ShardName($0) }
    guard let first = shards.first, shards.count == weights.count,
      shards.allSatisfy({ $0.prefix == first.prefix && $0.count == first.count })
    else {
      throw Failure(
        .data, "hf.index.missing", "holds several weight files but no \(format.indexName) to say which belong to the model",
        file: path, remedy: "Give the path of one file, or restore the index.")
    }
    let present = Set(shards.map(\.number))
    guard let missing = (1...first.count).first(where: { !present.contains($0) }) else {
      warnings.append("The shards have no index; all \(first.count) are read.")
      return weights
    }
    throw Failure(
      .noInput, "hf.shard.missing", "lacks shard \(missing) of \(first.count)", file: path, remedy: "Fetch the missing shard.")
  }

  /// Compares the shards with the index.
  private static func checkTensors(
    _ shards: [WeightFile], named names: [String], index: ShardIndex?, _ warnings: inout [String]
  ) throws(Failure) {
    var found: [String: String] = [:]
    var size = 0
    for (shard, name) in zip(shards, names) {
      for tensor in shard.tensors {
        if let other = found.updateValue(name, forKey: tensor.name) {
          throw Failure(.data, "hf.tensor.duplicate", "is in \(other) as well", file: shard.file.path, tensor: tensor.name)
        }
        size = Checked.sum(size, tensor.storage.byteCount) ?? .max
      }
    }
    guard found.count <= CheckpointLimits.tensors else {
      throw Failure(
        .data, "limit.tensor-count", "the model has \(found.count) tensors",
        file: shards.first?.file.path)
    }
    guard let index else { return }
    for (shard, name) in zip(shards, names) {
      for tensor in shard.tensors where index.weightMap[tensor.name] != name {
        guard let claimed = index.weightMap[tensor.name] else {
          throw Failure(
            .data, "hf.index.incomplete", "is not in the index", file: shard.file.path, tensor: tensor.name,
            remedy: "Restore the index that belongs to these shards.")
        }
        throw Failure(
          .data, "hf.index.wrong-shard", "is in this file, but the index says that it is in \(claimed)", file: shard.file.path,
          tensor: tensor.name, remedy: "Restore the index that belongs to these shards.")
      }
    }
    if let lost = index.weightMap.filter({ found[$0.key] == nil }).min(by: { $0.key < $1.key }) {
      throw Failure(
        .data, "hf.tensor.missing", "is not in \(lost.value), where the index says it is", file: shards.first?.file.path, tensor: lost.key,
        remedy: "Restore the index that belongs to these files; if there is only one, remove the index.")
    }
    if let total = index.totalSize, total != size {
      warnings.append("The index gives a total size of \(total) bytes, but the tensors have \(size).")
    }
  }
}

extension ShardIndex {
  /// The shards, all of which must be there.
  fileprivate func shards(
    in folder: String, _ names: [String], _ format: any WeightFormat.Type, _ warnings: inout [String]
  ) throws(Failure) -> [String] {
    for shard in shards where !names.contains(shard) {
      throw Failure(
        .noInput, "hf.shard.missing", "is named by the index, but is missing", file: Files.join(folder, shard),
        remedy: "Fetch the missing shard.")
    }
    return shards
  }

  /// Whether the folder's single file is the model, and the index is left from shards that are gone.
  /// - Throws: `Failure` `hf.two-models` if the shards are there too.
  fileprivate static func isStale(
    in folder: String, _ names: [String], _ format: any WeightFormat.Type, _ warnings: inout [String]
  ) throws(Failure) -> Bool {
    guard names.contains(format.singleName) else { return false }
    let shards = try ShardIndex(Files.join(folder, format.indexName)).shards
    if shards.contains(format.singleName) { return false }
    guard !shards.allSatisfy({ names.contains($0) }) else {
      throw Failure(
        .data, "hf.two-models", "holds \(format.singleName), and shards that \(format.indexName) names: these are two models", file: folder,
        remedy: "Remove one of them; transformers reads \(format.singleName).")
    }
    warnings.append("\(format.indexName) names shards that are gone: \(format.singleName) is read, and the index is ignored.")
    return true
  }
}
