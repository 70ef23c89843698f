public import QuantCore

/// A model folder as the Hugging Face hub and the transformers library lay it out: `config.json`, one or several
/// safetensors files with an index, and the tokenizer's files.
///
/// The index and the shards must agree on every tensor: readers that trust one of them only would see different models.
///
/// Specification: https://huggingface.co/docs/transformers/big_models
public struct HuggingFaceFormat: Sendable {
  public static let id = "huggingface"
  public static let summary = "A model folder: config.json, safetensors shards and their index, tokenizer."
  public static let reference = "https://huggingface.co/docs/transformers/big_models"
  public static let fileExtensions: [String] = []
  public static let isFolder = true

  static let indexName = "model.safetensors.index.json"
  static let singleName = "model.safetensors"

  /// Whether the path is a folder with a configuration or with safetensors files.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFolder(path), let names = try? Files.list(path) else { return false }
    return names.contains { $0 == "config.json" || $0 == indexName || $0.hasSuffix(".safetensors") }
  }

  /// Opens the folder. Reads the headers of all shards, the index and the configuration.
  /// - Throws: `Failure` `input.…`, `json.…`, `st.…`, `limit.…`, `hf.…`.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let names = try Files.list(path)
    var index: ShardIndex?
    var files: [String] = []
    var warnings: [String] = []
    if names.contains(indexName) {
      let file = Files.join(path, indexName)
      index = try ShardIndex(file)
      files.append(file)
    }
    let shardNames = try index.map { try $0.shards(in: path, names, &warnings) } ?? weightFiles(in: path, names, &warnings)
    let companions = try CompanionFiles(folder: path, options: options)
    if companions.configuration == nil { warnings.append("The folder has no config.json.") }
    var shards: [SafetensorsShard] = []
    for name in shardNames { shards.append(try SafetensorsShard(Files.join(path, name))) }
    try checkTensors(shards, named: shardNames, index: index, &warnings)
    var metadata = shards.first?.metadata ?? KeyValues()
    for (key, value) in ModelCard.keyValues(folder: path).entries { metadata[key] = value }
    let logical = try companions.logicalTensors(shards.flatMap { $0.tensors }, packings: options.packings)
    var checkpoint = Checkpoint(
      path: path, format: id, tensors: logical.tensors, naming: .huggingFace,
      configuration: companions.configuration.map { .huggingFace($0) }, metadata: metadata,
      companionFolder: companions.companionFolder ?? path,
      files: files + shardNames.map { Files.join(path, $0) } + companions.files, warnings: warnings,
      mappings: shards.map { $0.file })
    checkpoint.take(logical, companions)
    return checkpoint
  }

  /// The weight files of a folder without an index.
  private static func weightFiles(in path: String, _ names: [String], _ warnings: inout [String]) throws(Failure) -> [String] {
    if names.contains(singleName) { return [singleName] }
    let weights = names.filter { $0.hasSuffix(".safetensors") }
    if weights.isEmpty {
      let isPickle = names.contains { $0.hasSuffix(".bin") || $0.hasSuffix(".pt") || $0.hasSuffix(".pth") }
      guard isPickle else {
        throw Failure(.noInput, "hf.no-weights", "holds no safetensors file", file: path, remedy: "Give a folder with weights.")
      }
      throw Failure(
        .unsupported, "hf.pickle-weights", "holds its weights as PyTorch pickles, which are not read", file: path,
        remedy: "Save the model as safetensors first.")
    }
    if weights.count == 1, ShardName(weights[0]) == nil { return weights }
    let shards = weights.compactMap { ShardName($0) }
    guard let first = shards.first, shards.count == weights.count,
      shards.allSatisfy({ $0.prefix == first.prefix && $0.count == first.count })
    else {
      throw Failure(
        .data, "hf.index.missing", "holds several safetensors files and no \(indexName) that says which belong to the model",
        file: path, remedy: "Give the path of one file, or restore the index.")
    }
    let present = Set(shards.map(\.number))
    guard let missing = (1...first.count).first(where: { !present.contains($0) }) else {
      warnings.append("The shards have no index; all \(first.count) are read.")
      return weights
    }
    throw Failure(
      .noInput, "hf.shard.missing", "has no shard \(missing) of \(first.count)", file: path, remedy: "Fetch the missing shard.")
  }

  /// Holds shards and index against each other.
  private static func checkTensors(
    _ shards: [SafetensorsShard], named names: [String], index: ShardIndex?, _ warnings: inout [String]
  ) throws(Failure) {
    var found: [String: String] = [:]
    var size = 0
    for (shard, name) in zip(shards, names) {
      for tensor in shard.tensors {
        if let other = found.updateValue(name, forKey: tensor.name) {
          throw Failure(.data, "hf.tensor.duplicate", "is in \(other) too", file: shard.file.path, tensor: tensor.name)
        }
        // Each is a part of a mapped file, so the sum cannot leave the address space.
        size += tensor.storage.byteCount
      }
    }
    guard found.count <= SafetensorsHeader.maximumTensors * 10 else {
      throw Failure(.data, "limit.tensor-count", "the model has \(found.count) tensors", file: shards.first?.file.path)
    }
    guard let index else { return }
    for (shard, name) in zip(shards, names) {
      for tensor in shard.tensors where index.weightMap[tensor.name] != name {
        guard let claimed = index.weightMap[tensor.name] else {
          throw Failure(
            .data, "hf.index.incomplete", "is not in \(indexName)", file: shard.file.path, tensor: tensor.name,
            remedy: "Restore the index that belongs to these shards.")
        }
        throw Failure(
          .data, "hf.index.wrong-shard", "is in this file, but the index says \(claimed)", file: shard.file.path,
          tensor: tensor.name, remedy: "Restore the index that belongs to these shards.")
      }
    }
    if let lost = index.weightMap.filter({ found[$0.key] == nil }).min(by: { $0.key < $1.key }) {
      throw Failure(.data, "hf.tensor.missing", "is not in \(lost.value), where the index says it is", tensor: lost.key)
    }
    if let total = index.totalSize, total != size {
      warnings.append("The index gives a total size of \(total) bytes; the tensors have \(size).")
    }
  }
}

extension ShardIndex {
  /// The shards, each of which must be there.
  fileprivate func shards(in folder: String, _ names: [String], _ warnings: inout [String]) throws(Failure) -> [String] {
    for shard in shards where !names.contains(shard) {
      throw Failure(
        .noInput, "hf.shard.missing", "is named by the index, but is not there", file: Files.join(folder, shard),
        remedy: "Fetch the missing shard.")
    }
    if names.contains(HuggingFaceFormat.singleName), !shards.contains(HuggingFaceFormat.singleName) {
      warnings.append("\(HuggingFaceFormat.singleName) is not named by the index and is ignored.")
    }
    return shards
  }
}
