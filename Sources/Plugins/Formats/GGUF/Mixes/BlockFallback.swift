import QuantCore

/// The scheme used instead of a block type for rows whose length is not a multiple of the block's.
enum BlockFallback {
  /// The scheme in which rows of `columns` weights are stored instead; nil if this one can store them, or if there is no other. If the
  /// type's fallback does not fit either, it is 16-bit floats.
  static func replacing(_ scheme: String, columns: Int) -> (scheme: String, note: String)? {
    guard let type = BlockType.holding(scheme: scheme), !columns.isMultiple(of: type.weights), let fallback = type.fallback else {
      return nil
    }
    let fits = columns.isMultiple(of: fallback.blockLength)
    return (
      (fits ? fallback : .plain(.f16)).schemeName, "rows of \(columns) are not a multiple of \(type.weights), which \(scheme) needs"
    )
  }
}
