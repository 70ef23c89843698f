/// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): the keys and values of all heads are made from one short vector per
/// token, the latent. The position enters through a few separate channels: the last ones of each query, and one key that all heads
/// share.
///
/// Caution: clients that keep the latent in their cache multiply queries by the key matrix instead, so formats made for them hold
/// that matrix transposed, head by head. Here keys and values are expanded.
public struct LatentAttention: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Number of heads.
  public var headCount: Int
  /// Channels of the latent.
  public var rank: Int
  /// Channels of the latent that queries are made from; nil: they are made from the input.
  public var queryRank: Int?
  /// Channels of a head's query and key that are not rotated; they come first.
  public var plainSize: Int
  /// Channels of a head's value.
  public var valueSize: Int
  /// How the other channels are rotated to their position. Its dimension is the number of these channels.
  public var rope: Rope
  /// Whether they are rotated at all.
  public var isRotated = true
  /// Norm of the latent.
  public var latentNorm: Norm
  /// Norm of the latent of queries.
  public var queryLatentNorm: Norm
  /// Factor of the products of queries and keys.
  public var scale: Float
  /// The factor of queries that grows with their position; nil: there is none.
  public var temperature: Attention.Temperature?
  /// What chooses the tokens that a query sees; nil: all. Queries must have a latent.
  public var indexer: TokenIndexer?

  /// - Parameter epsilon: of the norms over the latents.
  public init(
    width: Int, headCount: Int, rank: Int, queryRank: Int?, plainSize: Int, valueSize: Int, rope: Rope, epsilon: Double, scale: Float
  ) {
    self.width = width
    self.headCount = headCount
    self.rank = rank
    self.queryRank = queryRank
    self.plainSize = plainSize
    self.valueSize = valueSize
    self.rope = rope
    latentNorm = Norm(.latentNorm, .rootMeanSquare, epsilon: epsilon)
    queryLatentNorm = Norm(.queryLatentNorm, .rootMeanSquare, epsilon: epsilon)
    self.scale = scale
  }

  private var rotarySize: Int { rope.dimension }
  /// Channels of a head's query and of its key.
  private var keySize: Int { plainSize + rotarySize }

  public var tensors: [PartTensor] {
    var tensors: [PartTensor] = []
    if let queryRank {
      tensors += [PartTensor(.queryLatent, [queryRank, width], .attention), PartTensor(.queryLatentNorm, [queryRank], .norm)]
    }
    return tensors + [
      PartTensor(.query, [headCount * keySize, queryRank ?? width], .attention),
      PartTensor(.latent, [rank + rotarySize, width], .attention), PartTensor(.latentNorm, [rank], .norm),
      PartTensor(.key, [headCount * plainSize, rank], .attention), PartTensor(.value, [headCount * valueSize, rank], .attention),
      PartTensor(.attentionOutput, [width, headCount * valueSize], .attention),
    ] + (indexer?.tensors ?? [])
  }

  public var linears: [(layer: Layer, input: Site)] {
    let queries: [(layer: Layer, input: Site)] =
      queryRank == nil ? [(.query, .attentionInput)] : [(Layer(.queryLatent), .attentionInput)]
    let later: [(layer: Layer, input: Site)] = queryRank == nil ? [] : [(.query, .queryLatent)]
    return queries + [(Layer(.latent), .attentionInput)] + later + [
      (.key, .latent), (.value, .latent), (.attentionOutput, .attentionOutput),
    ] + (indexer?.linears ?? [])
  }

  public var carried: [CarriedValue] { indexer?.carried ?? [] }

  public var inputSites: [Site] { [.attentionInput] }

  public var folds: [Fold] {
    (queryRank == nil ? [] : [Fold(site: .queryLatent, producer: .norm(.queryLatentNorm))]) + [
      Fold(site: .latent, producer: .norm(.latentNorm)),
      Fold(site: .attentionOutput, producer: .valueRows(.value, queryHeads: headCount, keyValueHeads: headCount)),
    ]
  }

  public var mixesTokens: Bool { true }
  public var lengthLimits: [Int] { [isRotated ? rope.lengthLimit : nil].compactMap { $0 } }

  // MARK: Forward pass

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .attentionInput)
    let positions = context.sequences.positions
    let table =
      isRotated
      ? context.remembering(RotaryTable.Key(rope: rope, positions: positions)) { rope.table(positions: positions) } : nil
    let latent = queryLatent(input, context)
    let choice = indexer?.choose(input, latent: latent, in: context)
    let queries = queries(latent, table, context)
    var (keys, values) = keysAndValues(input, table, context)
    if context.cache != nil {
      context.cache?.append(keys, to: LatentAttention.cachedKeys)
      context.cache?.append(values, to: LatentAttention.cachedValues)
      keys = context.cache?[LatentAttention.cachedKeys] ?? []
      values = context.cache?[LatentAttention.cachedValues] ?? []
    }
    let kernel = AttentionKernel(headCount: headCount, keySize: keySize, valueSize: valueSize, scale: scale)
    var mixed = kernel.mix(queries, keys, values, choice: choice, context.sequences, parallel: context.parallel)
    context.pass(&mixed, through: .attentionOutput)
    return context.isOutputWanted ? context.linear(.attentionOutput, mixed) : nil
  }

  private static let cachedKeys = "keys", cachedValues = "values"

  /// What queries are made from.
  private func queryLatent(_ input: Matrix, _ context: any BlockContext) -> Matrix {
    if queryRank == nil { return input }
    var latent = context.normed(context.linear(Layer(.queryLatent), input), by: queryLatentNorm)
    context.pass(&latent, through: .queryLatent)
    return latent
  }

  /// `[tokens, heads * keySize]`, the last channels of each head rotated to their position.
  private func queries(_ latent: Matrix, _ table: RotaryTable?, _ context: any BlockContext) -> Matrix {
    var queries = context.linear(.query, latent)
    let (sequences, width) = (context.sequences, queries.columns)
    queries.forEachRow(context.parallel) { row, query in
      for start in stride(from: plainSize, to: width, by: keySize) { table?.rotate(query + start, position: sequences.position(row)) }
      if let factor = temperature?.factor(sequences.position(row)) {
        for c in 0..<width { query[c] *= factor }
      }
    }
    return queries
  }

  /// Keys `[tokens, heads * keySize]`, each followed by a copy of the key that all heads share, and values
  /// `[tokens, heads * valueSize]`.
  private func keysAndValues(_ input: Matrix, _ table: RotaryTable?, _ context: any BlockContext) -> (keys: [Float], values: [Float]) {
    let made = context.linear(Layer(.latent), input)
    var latent = Matrix(rows: made.rows, columns: rank)
    var shared = Matrix(rows: made.rows, columns: rotarySize)
    for row in 0..<made.rows {
      for c in 0..<rank { latent[row, c] = made[row, c] }
      for c in 0..<rotarySize { shared[row, c] = made[row, rank + c] }
    }
    let sequences = context.sequences
    shared.forEachRow(context.parallel) { row, key in table?.rotate(key, position: sequences.position(row)) }
    latent = context.normed(latent, by: latentNorm)
    context.pass(&latent, through: .latent)
    let (plain, values) = (context.linear(.key, latent), context.linear(.value, latent))
    var keys = Matrix(rows: made.rows, columns: headCount * keySize)
    keys.forEachRow(context.parallel) { [shared] row, key in
      for head in 0..<headCount {
        for c in 0..<plainSize { key[head * keySize + c] = plain[row, head * plainSize + c] }
        for c in 0..<rotarySize { key[head * keySize + plainSize + c] = shared[row, c] }
      }
    }
    return (keys.values, values.values)
  }
}

extension TensorRole {
  /// Makes the latent, followed by the key that all heads share.
  public static let latent = TensorRole("latent")
  public static let latentNorm = TensorRole("latentNorm")
  /// Makes the latent that queries are made from.
  public static let queryLatent = TensorRole("queryLatent")
  public static let queryLatentNorm = TensorRole("queryLatentNorm")
}

extension Site {
  /// What keys and values are made from: the normalized latent.
  public static let latent = Site("attention.latent")
  /// What queries are made from, if that is also a latent.
  public static let queryLatent = Site("attention.query-latent")
}

extension Matrix {
  /// Calls `body` with every row and a pointer to it, on several threads.
  mutating func forEachRow(_ parallel: Parallel, _ body: @Sendable (Int, UnsafeMutablePointer<Float>) -> Void) {
    let (rows, width) = (rows, columns)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(rows, piece: 64) { piece in
        for row in piece { body(row, target.base + row * width) }
      }
    }
  }
}
