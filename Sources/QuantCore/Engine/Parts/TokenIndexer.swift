/// Chooses which earlier tokens a query of an attention sees (DeepSeek Sparse Attention, arXiv:2512.02556): a token's score is the weighted
/// sum over some heads of the positive parts of products of queries and one key, and the tokens of the highest scores are seen. A text of
/// no more tokens than are chosen is seen as a whole.
///
/// The Hadamard transform of queries and keys, with which programs round them to 8 bits, changes no product, and is left out.
public struct TokenIndexer: Sendable, Hashable {
  /// Channels of the hidden states, and of the latent that queries are made from.
  public var width: Int
  public var queryRank: Int
  /// Heads of queries; all have the same key.
  public var headCount: Int
  /// Channels of a query of a head, and of the key; the first are rotated.
  public var headSize: Int
  /// How many tokens a query sees at most, its own included.
  public var tokenCount: Int
  /// How queries and the key are rotated to their positions.
  public var rope: Rope
  /// Which blocks use the same choice; nil: this one alone.
  public var sharing: Attention.Sharing?

  /// Of the key; it has a bias.
  var keyNorm: Norm { Norm(.indexerKeyNorm, .layer, epsilon: 1e-6) }

  public init(width: Int, queryRank: Int, headCount: Int, headSize: Int, tokenCount: Int, rope: Rope, sharing: Attention.Sharing? = nil) {
    self.width = width
    self.queryRank = queryRank
    self.headCount = headCount
    self.headSize = headSize
    self.tokenCount = tokenCount
    self.rope = rope
    self.sharing = sharing
  }

  private var takesChoice: Bool { if case .takes = sharing { true } else { false } }

  private func carried(_ name: String) -> CarriedValue { CarriedValue("choice." + name, width: tokenCount) }

  var carried: [CarriedValue] {
    guard case .gives(let name) = sharing else { return [] }
    return [carried(name)]
  }

  var tensors: [PartTensor] {
    if takesChoice { return [] }
    return [
      PartTensor(.indexerQuery, [headCount * headSize, queryRank], .control), PartTensor(.indexerKey, [headSize, width], .control),
      PartTensor(.indexerKeyNorm, [headSize], .norm), PartTensor(.indexerWeights, [headCount, width], .control),
    ]
  }

  var linears: [(layer: Layer, input: Site)] {
    if takesChoice { return [] }
    return [
      (Layer(.indexerQuery), .queryLatent), (Layer(.indexerKey), .attentionInput), (Layer(.indexerWeights), .attentionInput),
    ]
  }

  // MARK: Forward pass

  /// The positions of the tokens that each query sees, `[tokens, tokenCount]`; fewer end with -1. Nil: all are seen.
  func choose(_ input: Matrix, latent: Matrix, in context: any BlockContext) -> Matrix? {
    let rows = context.sequences
    let isLong = rows.first + rows.length > tokenCount
    if case .takes(let name) = sharing { return isLong ? context.carried(carried(name)) : nil }
    // Keys of a short text are made only if they are kept for a longer one.
    guard isLong || context.cache != nil else { return nil }
    let table = context.remembering(RotaryTable.Key(rope: rope, positions: rows.positions)) { rope.table(positions: rows.positions) }
    var keys = context.normed(context.linear(Layer(.indexerKey), input), by: keyNorm)
    keys.forEachRow(context.parallel) { row, key in table.rotate(key, position: rows.position(row)) }
    var all = keys.values
    if context.cache != nil {
      context.cache?.append(all, to: TokenIndexer.cachedKeys)
      all = context.cache?[TokenIndexer.cachedKeys] ?? []
    }
    guard isLong else { return nil }
    var queries = context.linear(Layer(.indexerQuery), latent)
    queries.forEachRow(context.parallel) { row, query in
      for head in 0..<headCount { table.rotate(query + head * headSize, position: rows.position(row)) }
    }
    let choice = choices(queries, all, context.linear(Layer(.indexerWeights), input), rows, context.parallel)
    if case .gives(let name) = sharing { context.carry(choice, as: carried(name)) }
    return choice
  }

  private static let cachedKeys = "indexer.keys"
  /// Queries of one piece of work.
  private static let tile = 32

  /// - Parameter keys: of each sequence from its first token on, `[tokens, headSize]`.
  private func choices(_ queries: Matrix, _ keys: [Float], _ weights: Matrix, _ rows: SequenceRows, _ parallel: Parallel) -> Matrix {
    let tokens = rows.first + rows.length
    var chosen = Matrix(rows: queries.rows, columns: tokenCount)
    let scale = 1 / Float(headSize * headCount).squareRoot()
    chosen.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      // A piece lies within a sequence.
      let pieces = (rows.length + TokenIndexer.tile - 1) / TokenIndexer.tile
      parallel.forEach(queries.rows / rows.length * pieces) { index in
        let (sequence, piece) = index.quotientAndRemainder(dividingBy: pieces)
        let first = piece * TokenIndexer.tile, count = min(TokenIndexer.tile, rows.length - first)
        let products = AlignedScratch(count: count * tokens), scores = AlignedScratch(count: count * tokens)
        scores.base.update(repeating: 0, count: count * tokens)
        for head in 0..<headCount {
          queries.values.withUnsafeBufferPointer { queries in
            keys.withUnsafeBufferPointer { keys in
              guard let queries = queries.baseAddress, let keys = keys.baseAddress else { return }
              LinearAlgebra.Product(
                a: LinearAlgebra.Operand(
                  base: queries + ((sequence * rows.length + first) * headCount + head) * headSize, stride: headCount * headSize,
                  isDepthContiguous: true),
                b: LinearAlgebra.Operand(base: keys + sequence * tokens * headSize, stride: headSize, isDepthContiguous: true), m: count,
                n: tokens, k: headSize
              ).run(into: products.base, stride: tokens, parallel: Parallel(threads: 1))
            }
          }
          for query in 0..<count {
            let weight = weights[sequence * rows.length + first + query, head] * scale
            let row = products.base + query * tokens, sums = scores.base + query * tokens
            for key in 0..<tokens { sums[key] += weight * max(row[key], 0) }
          }
        }
        for query in 0..<count {
          let seen = rows.first + first + query + 1
          best(scores.base + query * tokens, count: seen, into: target.base + (sequence * rows.length + first + query) * tokenCount)
        }
      }
    }
    return chosen
  }

  /// The positions of the highest of some scores; of equal ones, the first.
  private func best(_ scores: UnsafePointer<Float>, count: Int, into result: UnsafeMutablePointer<Float>) {
    let order =
      count <= tokenCount
      ? Array(0..<count)
      : Array((0..<count).sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }.prefix(tokenCount))
    for i in 0..<tokenCount { result[i] = i < order.count ? Float(order[i]) : -1 }
  }
}

extension TensorRole {
  /// What chooses the tokens that an attention sees: makes queries of the latent, the key, and the weights of heads.
  public static let indexerQuery = TensorRole("indexerQuery")
  public static let indexerKey = TensorRole("indexerKey")
  public static let indexerKeyNorm = TensorRole("indexerKeyNorm")
  public static let indexerWeights = TensorRole("indexerWeights")
}
