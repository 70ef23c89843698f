import QuantCore

/// One mapped GGUF file with its tensors.
struct GGUFShard {
  let file: MappedFile
  let metadata: KeyValues
  /// Where each key of the metadata begins in the file.
  let keyOffsets: [String: Int]
  let tensors: [CheckpointTensor]
  let warnings: [String]
  /// Position among the shards, from 0, and their number; (0, 1) for a whole file.
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
      var warnings = layout.lacksPadding ? ["\(name): the padding behind the last tensor is missing."] : []
      if let place = header.firstHiddenByte(of: contents, between: layout.ranges) {
        warnings.append("\(name): the padding at byte \(place) is not zero; what stands there is not read.")
      }
      self.warnings = warnings
      tensors = try zip(header.tensors, layout.ranges).map { (tensor, range) throws(Failure) in
        guard let bytes = contents.slice(range) else { throw GGUFHeader.truncated("data").inTensor(tensor.name) }
        let storage: any TensorStorage =
          tensor.type.elementType.map { PlainStorage($0, bytes) } ?? BlockStorage(tensor.type, bytes)
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
      throw Failure(.data, "gg.split.type", "split.no and split.count are not both whole numbers", byteOffset: place)
    }
    // gguf-split writes a count of 0 or 1 for a file that is whole.
    guard count > 1 || index != 0 else { return (0, 1) }
    guard index >= 0, index < count else {
      throw Failure(.data, "gg.split.range", "is shard \(index) (from 0) of \(count)", byteOffset: place)
    }
    return (index, count)
  }

  /// The other shards, which lie beside this first one.
  /// - Throws: `Failure` where this is not the first shard, one is missing, or they do not belong together.
  func followingShards() throws(Failure) -> [GGUFShard] {
    guard split.count > 1 else { return [] }
    guard split.index == 0 else {
      throw Failure(
        .usage, "gg.split.not-first", "is shard \(split.index + 1) of \(split.count)", file: file.path,
        remedy: "Give the path of the first shard.")
    }
    guard let prefix = namePrefix else {
      throw Failure(
        .data, "gg.split.name", "is the first of \(split.count) shards, but its name does not end in \(GGUFShard.suffix(0, split.count))",
        file: file.path, remedy: "Give the shards the names they had.")
    }
    var shards: [GGUFShard] = []
    var names = Set(tensors.map(\.name))
    for index in 1..<split.count {
      let path = prefix + GGUFShard.suffix(index, split.count)
      guard Files.exists(path) else {
        throw Failure(
          .noInput, "gg.split.missing", "shard \(index + 1) of \(split.count) is missing", file: path,
          remedy: "Fetch it and put it beside the first.")
      }
      let shard = try GGUFShard(path)
      guard shard.split == (index, split.count) else {
        throw Failure(
          .data, "gg.split.mismatch", "says that it is shard \(shard.split.index + 1) of \(shard.split.count)", file: shard.file.path)
      }
      for tensor in shard.tensors where !names.insert(tensor.name).inserted {
        throw Failure(.data, "gg.tensor.duplicate", "is in another shard too", file: shard.file.path, tensor: tensor.name)
      }
      shards.append(shard)
    }
    if let total = metadata["split.tensors.count"]?.intValue, total != names.count {
      throw Failure(
        .data, "gg.split.tensor-count", "promises \(total) tensors; the shards have \(names.count)", file: file.path)
    }
    return shards
  }

  private var namePrefix: String? {
    let suffix = GGUFShard.suffix(0, split.count)
    return file.path.hasSuffix(suffix) ? String(file.path.dropLast(suffix.count)) : nil
  }

  /// `-00001-of-00003.gguf` for index 0 of 3.
  private static func suffix(_ index: Int, _ count: Int) -> String {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "-\(padded(index + 1))-of-\(padded(count)).gguf"
  }
}
