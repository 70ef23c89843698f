/// Greedy generation with cached keys and values: the quickest check that a converted model still produces text.
public struct Generator: Sendable {
  private let engine: Engine
  private let residentLimit: Int
  /// Decoded blocks that stay in memory, by index.
  private var blocks: [Int: BlockWorkspace] = [:]
  private var residentBytes = 0

  /// - Parameter residentLimit: bytes of decoded blocks to keep in memory; all other blocks are decoded for each token.
  public init(_ engine: Engine, residentLimit: Int = 4 << 30) {
    self.engine = engine
    self.residentLimit = residentLimit
  }

  /// Continues a prompt with the most likely token at each step (of equally likely ones, that with the lowest id).
  /// - Parameters:
  ///   - limit: how many tokens to generate at most.
  ///   - stop: ids that end the text; the id that ends it is not returned.
  ///   - onToken: called with each new token.
  /// - Throws: `Failure` `model.no-logits` for an encoder, `model.token-range` for an id outside the vocabulary, `generate.empty` for an empty prompt,
  ///   `model.position-range` if prompt and limit together need more positions than the model has learned.
  public mutating func generate(
    prompt: [Int], limit: Int, stop: Set<Int>, onToken: (Int) -> Void = { _ in }
  ) throws(Failure) -> [Int] {
    try engine.model.checkLogits(for: "generating text")
    guard !prompt.isEmpty else {
      throw Failure(.usage, "generate.empty", "the prompt is empty", remedy: "Give a prompt of at least one token.")
    }
    try engine.model.checkPositions(prompt.count + limit - 1)
    let limits = engine.model.lengthLimits
    var caches = engine.model.blocks.map { BlockCache($0) }
    var generated: [Int] = []
    var next = prompt
    var position = 0
    while generated.count < limit {
      if limits.contains(where: { (1...$0).contains(position) && position + next.count > $0 }) {
        // The text is read again from its beginning, as a model that sees all of it at once does.
        caches = engine.model.blocks.map { BlockCache($0) }
        (next, position) = (prompt + generated, 0)
      }
      var hidden = try engine.embed(next, sequenceLength: next.count, first: position)
      position += next.count
      for index in caches.indices { engine.runBlock(block(index), hidden: &hidden, cache: &caches[index]) }
      let last = Matrix(rows: 1, columns: hidden.columns, values: Array(hidden.values.suffix(hidden.columns)))
      let token = Generator.mostLikely(engine.logits(last).values)
      if stop.contains(token) { break }
      generated.append(token)
      onToken(token)
      next = [token]
    }
    return generated
  }

  private mutating func block(_ index: Int) -> BlockWorkspace {
    if let block = blocks[index] { return block }
    let block = engine.loadBlock(index)
    let bytes = block.matrices.values.reduce(0) { $0 + $1.values.count * MemoryLayout<Float>.stride }
    if residentBytes + bytes <= residentLimit {
      blocks[index] = block
      residentBytes += bytes
    }
    return block
  }

  /// Index of the largest logit; of equal logits, the lowest index.
  static func mostLikely(_ logits: some Collection<Float>) -> Int {
    var best = 0
    var largest = -Float.infinity
    for (index, logit) in logits.enumerated() where logit > largest {
      best = index
      largest = logit
    }
    return best
  }
}
