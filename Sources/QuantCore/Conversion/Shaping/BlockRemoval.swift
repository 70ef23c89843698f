/// Drops blocks of a model before anything else is done with it: the tensors of later blocks are renumbered, and the configuration
/// says how many blocks are left.
///
/// Counts of leading blocks in a configuration, and lists with a value for each block, are shortened accordingly. Caution: a model
/// whose blocks differ by a rule of their numbers (every sixth one attends to everything) computes something else afterwards.
struct BlockRemoval {
  /// The blocks that are dropped.
  let dropped: DroppedBlocks
  /// The prefixes of the names of a block's tensors (`model.layers.3.`), and its number.
  private let prefixes: [String: Int]
  private let reader: any CheckpointReader.Type

  /// - Parameter dropped: the numbers as given, perhaps repeated.
  /// - Throws: `Failure` of kind usage for a block that the model does not have, and if no block would be left; `blocks.shared`; of the
  ///   family if no family knows the model and its names do not number the blocks.
  init(_ dropped: [Int], of checkpoint: Checkpoint, _ opening: Opening) throws {
    reader = try opening.registry.reader(checkpoint.format)
    var prefixes: [String: Int] = [:]
    func add(_ name: String, _ block: Int?) {
      guard let block, let found = name.firstRange(of: ".\(block).") else { return }
      prefixes[String(name[..<found.upperBound])] = block
    }
    if let model = try? opening.describe(checkpoint), !model.carried.isEmpty {
      throw Failure(
        .unsupported, "blocks.shared", "no block can be dropped: others use its keys and values, or a table that all blocks share",
        file: checkpoint.path, remedy: "Leave \(setting: "drop-blocks") out.")
    }
    let count: Int
    if let numbered = reader.numberedBlocks(of: checkpoint) {
      for (name, block) in numbered.tensors { add(name, block) }
      count = numbered.count
    } else {
      let model = try opening.describe(checkpoint)
      // Importance may use the names of another format.
      for tensor in model.tensors {
        for place in tensor.places.values { add(place.name, tensor.id.block) }
      }
      count = model.blocks.count
    }
    self.prefixes = prefixes
    self.dropped = DroppedBlocks(Set(dropped), of: count)
    for block in self.dropped.numbers where !(0..<count).contains(block) {
      throw Failure(
        .usage, "blocks.number", "the model has no block \(block)", file: checkpoint.path,
        remedy: count > 0 ? "Give numbers from 0 to \(count - 1)." : "Leave \(setting: "drop-blocks") out: it has no blocks.")
    }
    guard self.dropped.left > 0 else {
      throw Failure(
        .usage, "blocks.number", "no block would be left", file: checkpoint.path, remedy: "Keep at least one of its \(count) blocks.")
    }
  }

  /// The new name of something that belongs to a block; nil if that block is dropped.
  private func name(_ name: String) -> String? {
    for dot in name.indices where name[dot] == "." {
      let end = name.index(after: dot)
      guard let block = prefixes[String(name[..<end])] else { continue }
      guard let number = dropped.number(block) else { return nil }
      return "\(name[..<end].dropLast("\(block).".count))\(number).\(name[end...])"
    }
    return name
  }

  private func renamed<Value>(_ values: [String: Value]) -> [String: Value] {
    Dictionary(values.compactMap { key, value in name(key).map { ($0, value) } }, uniquingKeysWith: { first, _ in first })
  }

  /// The model without the dropped blocks.
  /// - Throws: `Failure` `blocks.configuration` if the configuration does not say how many blocks there are.
  func applied(to checkpoint: Checkpoint) throws(Failure) -> Checkpoint {
    var result = checkpoint
    result.replaceTensors(
      checkpoint.tensors.compactMap { tensor in
        name(tensor.name).map { CheckpointTensor(name: $0, shape: tensor.shape, storage: tensor.storage) }
      })
    result.fileIndices = renamed(checkpoint.fileIndices)
    result.activations.inputs = renamed(checkpoint.activations.inputs)
    result.activations.caches = Dictionary(
      checkpoint.activations.caches.compactMap { block, scales in dropped.number(block).map { ($0, scales) } },
      uniquingKeysWith: { first, _ in first })
    result.droppedBlocks = checkpoint.droppedBlocks + dropped.numbers.count
    if result.configuration != nil { try reader.drop(dropped, from: &result) }
    return result
  }

  /// Importance of the blocks that stay, under their new names.
  func applied(to importance: Importance) -> Importance {
    var result = importance
    result.entries = renamed(importance.entries)
    return result
  }
}
