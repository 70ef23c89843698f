public import QuantCore

extension ConfigurationKeys {
  /// The window that `sliding_window` states; nil where it is null or zero.
  public func window() throws(Failure) -> Int? {
    guard let window = try size("sliding_window", "attention.sliding_window"), window > 0 else { return nil }
    return window
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
