/// What one block has cached of the tokens of one sequence so far.
struct BlockCache: Sendable {
  /// Tokens that have run through the block.
  var count = 0
  /// One per branch.
  var parts: [PartCache]

  init(_ block: BlockDescription) { parts = block.branches.map { _ in PartCache() } }
}
