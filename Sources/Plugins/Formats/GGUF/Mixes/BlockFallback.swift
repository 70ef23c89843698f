import QuantCore

/// What takes the place of a block type in rows that are no multiple of its blocks.
enum BlockFallback {
  /// The scheme in which rows of `columns` weights can be stored instead; nil where this one can, or where there is none. A fallback
  /// that does not fit either becomes 16-bit floats.
  static func replacing(_ scheme: String, columns: Int) -> (scheme: String, note: String)? {
    guard let type = BlockType.holding(scheme: scheme), !columns.isMultiple(of: type.weights), let fallback = type.fallback else {
      return nil
    }
    let fits = columns.isMultiple(of: fallback.blockLength)
    return (
      (fits ? fallback : .plain(.f16)).schemeName, "rows of \(columns) are no multiple of \(type.weights), which \(scheme) needs"
    )
  }
}
