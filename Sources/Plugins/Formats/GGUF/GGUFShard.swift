import QuantCore

/// One mapped GGUF file with its tensors.
struct GGUFShard {
  let file: MappedFile
  let metadata: KeyValues
  /// Where each key of the metadata begins in the file.
  let keyOffsets: [String: Int]
  let tensors: [CheckpointTensor]
  let warnings: [String]
  /// Index among the shards, from 0, and their number; (0, 1) for a whole file.
  let split: (index: Int, count: Int)

  /// - Throws: `Failure` `input.…`, `gg.…` or `limit.…` that names the file.
  init(_ path: String) throws(Failure) {
    file = try MappedFile(path)
    let contents = file.contents
    do {
      let header = try GGUFHeader(contents)
      let layout = try header.layout(fileSize: contents.count)
      metadata = header.metadata
      keyOffsets = header.keyOffsets
      split = try GGUFShard.split(header)
      let name = Files.lastComponent(path)
      var warnings = layout.lacksPadding ? ["\(name): the padding after the last tensor is missing."] : []
      if let place = header.firstHiddenByte(of: contents, between: layout.ranges) {
        warnings.append("\(name): the padding at byte \(place) is not zero; its content is ignored.")
      }
      self.warnings = warnings
      tensors = try zip(header.tensors, layout.ranges).map { (tensor, range) throws(Failure) in
        guard let bytes = contents.slice(range) else { throw GGUFHeader.truncated("data").inTensor(tensor.name) }
        let storage: any TensorStorage =
          switch tensor.type {
          case .plain(let type): PlainStorage(type.element, bytes)
          case .blocks(let type): BlockStorage(type, bytes)
          }
        return CheckpointTensor(name: tensor.name, shape: tensor.shape, storage: storage)
      }
    } catch {
      throw error.inFile(path)
    }
  }

  private static func split(_ header: GGUFHeader) throws(Failure) -> (index: Int, count: Int) {
    guard let stored = header.metadata["split.count"] else { return (0, 1) }
    let place = header.keyOffsets["split.count"]
    guard let count = stored.intValue, let index = header.metadata["split.no"]?.intValue, count >= 0 else {
      throw Failure(.data, "gg.split.type", "split.no and split.count are not both integers", byteOffset: place)
    }
    // gguf-split writes a count of 0 or 1 for a file that is not split.
    guard count > 1 || index != 0 else { return (0, 1) }
    guard index >= 0, index < count else {
      throw Failure(.data, "gg.split.range", "claims to be shard \(index) (counted from 0) of \(count)", byteOffset: place)
    }
    return (index, count)
  }

  /// All shards of the model to which this one belongs, in order: they are in the same folder.
  /// - Throws: `Failure` if one is missing, or they do not belong together.
  func family() throws(Failure) -> [GGUFShard] {
    guard split.count > 1 else { return [self] }
    let suffix = GGUFSplit.suffix(split.index, split.count)
    guard file.path.hasSuffix(suffix) else {
      throw Failure(
        .data, "gg.split.name", "is shard \(split.index + 1) of \(split.count), but its name does not end in \(suffix)",
        file: file.path, remedy: "Give the shards their original names.")
    }
    let prefix = file.path.dropLast(suffix.count)
    var shards: [GGUFShard] = []
    var names: Set<String> = []
    for index in 0..<split.count {
      let shard = index == split.index ? self : try sibling(index, at: prefix + GGUFSplit.suffix(index, split.count))
      for tensor in shard.tensors where !names.insert(tensor.name).inserted {
        throw Failure(.data, "gg.tensor.duplicate", "is also in another shard", file: shard.file.path, tensor: tensor.name)
      }
      shards.append(shard)
    }
    for shard in shards {
      guard let total = shard.metadata["split.tensors.count"]?.intValue, total != names.count else { continue }
      throw Failure(
        .data, "gg.split.tensor-count", "states \(total) tensors, but the shards have \(names.count)", file: shard.file.path,
        remedy: "Fetch all shards again; one belongs to another model.")
    }
    return shards
  }

  private func sibling(_ index: Int, at path: String) throws(Failure) -> GGUFShard {
    guard Files.exists(path) else {
      throw Failure(
        .noInput, "gg.split.missing", "shard \(index + 1) of \(split.count) is missing", file: path,
        remedy: "Fetch it and put it next to the others.")
    }
    let shard = try GGUFShard(path)
    guard shard.split == (index, split.count) else {
      throw Failure(
        .data, "gg.split.mismatch", "claims to be shard \(shard.split.index + 1) of \(shard.split.count)", file: shard.file.path)
    }
    return shard
  }
}
