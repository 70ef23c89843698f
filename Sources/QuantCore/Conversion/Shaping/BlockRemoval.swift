/// Takes blocks out of a model before anybody looks at it: the tensors of those behind move up, and the configuration says how many
/// are left.
///
/// Numbers of blocks that a configuration counts from the first one, and lists with a value for each block, are cut alike. The
/// trap: a model whose blocks differ by a rule of their numbers (every sixth one attends to everything) becomes another.
struct BlockRemoval {
  /// The blocks that go, in order.
  let dropped: [Int]
  /// What names of a block's tensors begin with (`blk.3.`), and its number.
  private let prefixes: [String: Int]
  private let count: Int

  /// Keys of a `config.json` that are the number of blocks, or of the first ones of a kind, and lists by block.
  private static let counts = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"]
  private static let leadingCounts = ["max_window_layers", "first_k_dense_replace"]
  private static let lists = ["layer_types", "mlp_layer_types", "no_rope_layers"]
  /// The same of a GGUF, behind the architecture. Every list with a value for each block is one by block, but for those below `rope.`.
  private static let ggufCount = "block_count"
  private static let ggufLeadingCounts = ["leading_dense_block_count"]

  /// - Parameter dropped: as a person said it.
  /// - Throws: `Failure` of kind usage for a block that the model does not have, and where none would be left; of the family where a
  ///   folder's blocks are nobody's.
  init(_ dropped: [Int], of checkpoint: Checkpoint, _ opening: Opening) throws {
    self.dropped = Set(dropped).sorted()
    var prefixes: [String: Int] = [:]
    func add(_ name: String?, _ block: Int?) {
      guard let name, let block, let found = name.firstRange(of: ".\(block).") else { return }
      prefixes[String(name[..<found.upperBound])] = block
    }
    if checkpoint.naming == .gguf {
      for name in checkpoint.tensors.map(\.name) {
        let words = name.split(separator: ".", omittingEmptySubsequences: false)
        guard let word = words.firstIndex(of: "blk"), word + 2 < words.count, let block = Int32(words[word + 1]) else { continue }
        add(name, Int(block))
      }
      count = checkpoint.configuration?.blockCount ?? (prefixes.values.max() ?? -1) + 1
    } else {
      let model = try opening.describe(checkpoint)
      for tensor in model.tensors {
        add(tensor.name(checkpoint.naming), tensor.id.block)
        add(tensor.importanceName, tensor.id.block)
      }
      count = model.blocks.count
    }
    self.prefixes = prefixes
    for block in self.dropped where !(0..<count).contains(block) {
      throw Failure(
        .usage, "blocks.number", "the model has no block \(block)", file: checkpoint.path,
        remedy: count > 0 ? "Its blocks are 0 to \(count - 1)." : "It has no blocks.")
    }
    guard self.dropped.count < count else {
      throw Failure(.usage, "blocks.number", "no block would be left", file: checkpoint.path, remedy: "Leave some of its \(count) blocks.")
    }
  }

  /// The new number of a block, or nil for one that goes.
  private func number(_ block: Int) -> Int? { dropped.contains(block) ? nil : block - dropped.count { $0 < block } }

  /// The new name of anything that is named by its block; nil where that goes.
  private func name(_ name: String) -> String? {
    for dot in name.indices where name[dot] == "." {
      let end = name.index(after: dot)
      guard let block = prefixes[String(name[..<end])] else { continue }
      guard let number = number(block) else { return nil }
      return "\(name[..<end].dropLast("\(block).".count))\(number).\(name[end...])"
    }
    return name
  }

  private func renamed<Value>(_ values: [String: Value]) -> [String: Value] {
    Dictionary(values.compactMap { key, value in name(key).map { ($0, value) } }, uniquingKeysWith: { first, _ in first })
  }

  /// The model without its blocks.
  /// - Throws: `Failure` `blocks.configuration` where the configuration does not say how many there are.
  func applied(to checkpoint: Checkpoint) throws(Failure) -> Checkpoint {
    var result = checkpoint
    result.replaceTensors(
      checkpoint.tensors.compactMap { tensor in
        name(tensor.name).map { CheckpointTensor(name: $0, shape: tensor.shape, storage: tensor.storage) }
      })
    result.fileIndices = renamed(checkpoint.fileIndices)
    result.activations.inputs = renamed(checkpoint.activations.inputs)
    result.activations.caches = Dictionary(
      checkpoint.activations.caches.compactMap { block, scales in number(block).map { ($0, scales) } },
      uniquingKeysWith: { first, _ in first })
    result.droppedBlocks = checkpoint.droppedBlocks + dropped.count
    switch checkpoint.configuration {
    case .gguf(let values):
      let edited = edited(values)
      result.configuration = .gguf(edited)
      result.metadata = edited
    case .huggingFace(let json): result.configuration = .huggingFace(try edited(json, checkpoint.path))
    case nil: break
    }
    return result
  }

  /// Importance of the blocks that stay, under their new names.
  func applied(to importance: Importance) -> Importance {
    var result = importance
    result.entries = renamed(importance.entries)
    return result
  }

  // MARK: - Configurations

  private func edited(_ values: KeyValues) -> KeyValues {
    var result = values
    let prefix = (values["general.architecture"]?.stringValue ?? "") + "."
    for (key, value) in values.entries where key.hasPrefix(prefix) && !key.hasPrefix(prefix + "rope.") {
      let name = key.dropFirst(prefix.count)
      if let number = value.intValue {
        if name == BlockRemoval.ggufCount { result[key] = .u32(UInt32(clamping: count - dropped.count)) }
        if BlockRemoval.ggufLeadingCounts.contains(String(name)) { result[key] = .u32(UInt32(clamping: left(ofFirst: number))) }
      } else {
        result[key] = cut(value)
      }
    }
    return result
  }

  private func edited(_ json: JSON, _ path: String) throws(Failure) -> JSON {
    var isCounted = false
    let members = (json.objectValue ?? []).map { member in
      if BlockRemoval.counts.contains(member.key), member.value.intValue == count {
        isCounted = true
        return JSON.Member(member.key, .int(count - dropped.count))
      }
      if BlockRemoval.leadingCounts.contains(member.key), let number = member.value.intValue {
        return JSON.Member(member.key, .int(left(ofFirst: number)))
      }
      if BlockRemoval.lists.contains(member.key), let values = member.value.arrayValue {
        return JSON.Member(member.key, .array(cut(values)))
      }
      return member
    }
    guard isCounted else {
      throw Failure(
        .unsupported, "blocks.configuration", "its configuration does not say in a known place that there are \(count) blocks", file: path,
        remedy: "Known keys: \(BlockRemoval.counts.joined(separator: ", ")).")
    }
    return .object(members)
  }

  /// How many of the first blocks stay.
  private func left(ofFirst number: Int) -> Int { number - dropped.count { $0 < number } }

  /// The values of the blocks that stay, of a list with a value for each.
  private func cut<Value>(_ values: [Value]) -> [Value] {
    values.count == count ? values.indices.filter { !dropped.contains($0) }.map { values[$0] } : values
  }

  private func cut(_ value: MetadataValue) -> MetadataValue {
    switch value {
    case .u32s(let values): .u32s(cut(values))
    case .i32s(let values): .i32s(cut(values))
    case .f32s(let values): .f32s(cut(values))
    case .bools(let values): .bools(cut(values))
    default: value
    }
  }
}

extension Configuration {
  /// The number of blocks that a GGUF states.
  fileprivate var blockCount: Int? {
    guard case .gguf(let values) = self, let architecture else { return nil }
    return values["\(architecture).block_count"]?.intValue
  }
}
