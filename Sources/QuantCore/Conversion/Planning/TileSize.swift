/// How much is worked on at a time.
enum TileSize {
  /// Weights in one piece of work: small enough to stay in a core's cache, large enough to be worth a thread's while.
  static let weights = 1 << 16

  /// Weights that may be in work at a time on all threads together; each takes twelve bytes and its share of the output.
  static let weightsInWork = 1 << 23

  /// How many threads work: fewer than there are where rows are so long that a tile for each would take too much memory.
  static func threads(_ count: Int, tileWeights: Int) -> Int { min(count, max(1, weightsInWork / max(1, tileWeights))) }
}
