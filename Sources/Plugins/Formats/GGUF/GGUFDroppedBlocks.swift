public import QuantCore

extension GGUFFormat {
  /// The numbers after `blk` in the names of tensors.
  public static func numberedBlocks(of checkpoint: Checkpoint) -> NumberedBlocks? {
    var tensors: [String: Int] = [:]
    for name in checkpoint.tensors.map(\.name) {
      let words = name.split(separator: ".", omittingEmptySubsequences: false)
      guard let word = words.firstIndex(of: "blk"), word + 2 < words.count, let block = Int32(words[word + 1]) else { continue }
      tensors[name] = Int(block)
    }
    let configuration = checkpoint.configuration
    let stated = configuration?.architecture.flatMap { configuration?.keyValues?["\($0).block_count"]?.intValue }
    return NumberedBlocks(count: stated ?? (tensors.values.max() ?? -1) + 1, tensors: tensors)
  }

  /// Edits the keys of the architecture. Every list with one value per block is a list by block, except for those below `rope.`.
  public static func drop(_ blocks: DroppedBlocks, from checkpoint: inout Checkpoint) throws(Failure) {
    guard let configuration = checkpoint.configuration, let values = configuration.keyValues else { return }
    var edited = values
    let prefix = (configuration.architecture ?? "") + "."
    for (key, value) in values.entries where key.hasPrefix(prefix) && !key.hasPrefix(prefix + "rope.") {
      if let number = value.intValue {
        switch key.dropFirst(prefix.count) {
        case "block_count": edited[key] = .u32(UInt32(clamping: blocks.left))
        case "leading_dense_block_count": edited[key] = .u32(UInt32(clamping: blocks.left(ofFirst: number)))
        default: break
        }
      } else {
        edited[key] = cut(value, blocks)
      }
    }
    checkpoint.configuration = Configuration(edited, architecture: configuration.architecture)
    checkpoint.metadata = edited
  }

  private static func cut(_ value: MetadataValue, _ blocks: DroppedBlocks) -> MetadataValue {
    switch value {
    case .u32s(let values): .u32s(blocks.cut(values))
    case .i32s(let values): .i32s(blocks.cut(values))
    case .f32s(let values): .f32s(blocks.cut(values))
    case .bools(let values): .bools(blocks.cut(values))
    default: value
    }
  }
}
