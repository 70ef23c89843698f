/// How much is worked on at a time.
enum TileSize {
  /// Weights in one piece of work: small enough to stay in a core's cache, large enough to keep a thread busy.
  static let weights = 1 << 16

  /// Weights that all threads together may work on at a time; each takes twelve bytes and its share of the output.
  static let weightsInWork = 1 << 23

  /// How many threads work: fewer than there are if rows are so long that a tile for each thread would take too much memory.
  static func threads(_ count: Int, tileWeights: Int) -> Int { min(count, max(1, weightsInWork / max(1, tileWeights))) }
}
