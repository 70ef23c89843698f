public import QuantCore

extension ConfigurationKeys {
  /// The window that `sliding_window` states; nil if it is null or zero.
  public func window() throws(Failure) -> Int? {
    guard let window = try size("sliding_window", "attention.sliding_window"), window > 0 else { return nil }
    return window
  }

  /// Which blocks have the window and which attend to everything: as `layer_types` names them, otherwise by the period that the
  /// configuration states; the last block of each period attends to everything.
  /// - Parameter defaultPeriod: the period if the configuration states none.
  /// - Throws: `Failure` `model.key-value` for a list that does not have one entry per block, or an unknown kind of block.
  public func windowedBlocks(_ blocks: Int, defaultPeriod: Int) throws(Failure) -> [Bool] {
    let pattern = "attention.sliding_window_pattern"
    if case .bools(let list)? = metadata(pattern) {
      guard list.count == blocks else { throw bad(name("", pattern), "has \(list.count) values for \(blocks) blocks") }
      return list
    }
    if let types = json("layer_types")?.arrayValue {
      guard types.count == blocks else { throw bad("layer_types", "has \(types.count) values for \(blocks) blocks") }
      return try types.map { (type) throws(Failure) in
        switch type.stringValue {
        case "sliding_attention": return true
        case "full_attention": return false
        default: throw bad("layer_types", "names an unknown kind of block")
        }
      }
    }
    let key = json("sliding_window_pattern") == nil ? "_sliding_window_pattern" : "sliding_window_pattern"
    let period = try size(key, pattern) ?? defaultPeriod
    return (0..<blocks).map { period > 0 && ($0 + 1) % period != 0 }
  }

  /// The window of models in which `use_sliding_window` switches it on from block `max_window_layers` on, or in which
  /// `layer_types` names the blocks. All blocks must be alike.
  public func windowOfLaterBlocks(_ blockCount: Int) throws(Failure) -> Int? {
    guard json("use_sliding_window")?.boolValue ?? false, let window = try window() else { return nil }
    let windowed: Int
    if let types = json("layer_types")?.arrayValue {
      windowed = types.count { $0.stringValue == "sliding_attention" }
    } else {
      windowed = max(0, blockCount - (try size("max_window_layers", "") ?? 28))
    }
    guard windowed == 0 || windowed >= blockCount else {
      throw unsupported("model.blocks-differ", "only \(windowed) of \(blockCount) blocks have an attention window")
    }
    return windowed == 0 ? nil : window
  }
}
