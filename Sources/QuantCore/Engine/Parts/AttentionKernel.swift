import QuantPlatform

/// Attention of grouped heads over one sequence.
///
/// Scores are computed for tiles of queries against all keys that they can see, so scratch space is bounded by one tile. How an
/// output is computed depends only on its query's position: keys are visited in groups that start at multiples of
/// `LinearAlgebra.depthBlock`, so a query gives the same bits whether it comes with its whole sequence or after cached keys.
struct AttentionKernel: Sendable {
  var headCount: Int
  var keyValueHeadCount: Int
  /// Channels of a query and of a key.
  var keySize: Int
  /// Channels of a value and of the result of a head.
  var valueSize: Int
  /// Whether a query sees only keys up to its own position.
  var isCausal = true
  /// A query sees keys at a distance less than this; nil for all.
  var window: Int?
  /// Length of the parts of a sequence of which a query sees only its own; nil for one part.
  var chunk: Int?
  /// The factor of products.
  var scale: Float
  /// The bound of scores; nil: none.
  var cap: Float?
  /// For each head, what is subtracted from a score per token of distance; empty without such a bias.
  var slopes: [Float] = []
  /// For each head, a score that takes part in the softmax but belongs to no token; empty without such scores.
  var sinks: [Float] = []

  init(_ part: Attention, sinks: [Float]?) {
    headCount = part.headCount
    keyValueHeadCount = part.keyValueHeadCount
    (keySize, valueSize) = (part.headSize, part.valueSize)
    (isCausal, window, chunk) = (part.isCausal, part.window, part.chunk)
    scale = part.scale ?? 1 / Float(part.headSize).squareRoot()
    cap = part.scoreCap
    if part.hasLinearBias { slopes = AttentionKernel.slopes(headCount) }
    if part.hasSinks { self.sinks = sinks ?? [] }
  }

  /// One of the heads alone, with its own keys, and values of another size.
  func head(_ index: Int, valueSize: Int) -> AttentionKernel {
    var alone = self
    (alone.headCount, alone.keyValueHeadCount, alone.valueSize) = (1, 1, valueSize)
    if !slopes.isEmpty { alone.slopes = [slopes[index]] }
    if !sinks.isEmpty { alone.sinks = [sinks[index]] }
    return alone
  }

  /// For heads that each have their own keys and values.
  init(headCount: Int, keySize: Int, valueSize: Int, scale: Float) {
    self.headCount = headCount
    keyValueHeadCount = headCount
    self.keySize = keySize
    self.valueSize = valueSize
    self.scale = scale
  }

  /// The slopes of ALiBi (arXiv 2108.12409): powers of `2^(-8/n)` for n heads; if n is not a power of two, those of the next lower
  /// power of two, then every other one of the next higher.
  static func slopes(_ count: Int) -> [Float] {
    var power = 1
    while power * 2 <= count { power *= 2 }
    return (0..<count).map { head in
      let exponent = head < power ? Double(head + 1) : Double(2 * (head - power) + 1) / 2
      return Float(pow(2, -8 * exponent / Double(power)))
    }
  }

  /// About how many scores one tile has.
  private static let tileScores = 1 << 18
  /// How many queries one tile has at most.
  private static let tileQueries = 128

  /// Queries, keys and values of one sequence; keys and values start at position zero.
  struct Sequence: @unchecked Sendable {
    // Unchecked: each piece of work reads the inputs and writes its own rows and head of the result.
    /// `[count, headCount * keySize]`.
    var queries: UnsafePointer<Float>
    /// `[first + count, keyValueHeadCount * keySize]`.
    var keys: UnsafePointer<Float>
    /// `[first + count, keyValueHeadCount * valueSize]`.
    var values: UnsafePointer<Float>
    /// `[count, headCount * valueSize]`.
    var result: UnsafeMutablePointer<Float>
    /// Position of the first query.
    var first: Int
    var count: Int
    /// For each query, the positions of the keys that it sees, `[count, choiceCount]`, -1 for none; nil: all.
    var choice: UnsafePointer<Float>?
    var choiceCount = 0
  }

  /// One tile of one head.
  private struct Piece {
    var sequence: Int
    var head: Int
    var queries: Range<Int>
  }

  /// Mixes the values of whole sequences, or of the next tokens of one.
  /// - Parameters:
  ///   - queries: `[tokens, headCount * keySize]`, of sequences that `rows` describes.
  ///   - keys: of each sequence from its first token on.
  ///   - values: the same.
  ///   - choice: for each query, the positions of the keys that it sees, -1 for none; nil: all.
  /// - Returns: `[tokens, headCount * valueSize]`.
  func mix(
    _ queries: Matrix, _ keys: [Float], _ values: [Float], choice: Matrix? = nil, _ rows: SequenceRows, parallel: Parallel
  ) -> Matrix {
    guard let choice else { return mix(queries, keys, values, choice: nil, choiceCount: 0, rows, parallel) }
    return choice.values.withUnsafeBufferPointer {
      mix(queries, keys, values, choice: $0.baseAddress, choiceCount: choice.columns, rows, parallel)
    }
  }

  private func mix(
    _ queries: Matrix, _ keys: [Float], _ values: [Float], choice: UnsafePointer<Float>?, choiceCount: Int, _ rows: SequenceRows,
    _ parallel: Parallel
  ) -> Matrix {
    let count = queries.rows / rows.length
    var mixed = Matrix(rows: queries.rows, columns: headCount * valueSize)
    mixed.withPointers(queries, keys, values) { result, queries, keys, values in
      let tokens = rows.first + rows.length
      let sequences = (0..<count).map { index in
        Sequence(
          queries: queries + index * rows.length * headCount * keySize, keys: keys + index * tokens * keyValueHeadCount * keySize,
          values: values + index * tokens * keyValueHeadCount * valueSize,
          result: result + index * rows.length * headCount * valueSize, first: rows.first, count: rows.length,
          choice: choice.map { $0 + index * rows.length * choiceCount }, choiceCount: choiceCount)
      }
      run(sequences, parallel: parallel)
    }
    return mixed
  }

  private func run(_ sequences: [Sequence], parallel: Parallel) {
    var pieces: [Piece] = []
    for (index, sequence) in sequences.enumerated() {
      let rows = min(AttentionKernel.tileQueries, max(8, AttentionKernel.tileScores / max(1, sequence.first + sequence.count)))
      for head in 0..<headCount {
        for start in stride(from: 0, to: sequence.count, by: rows) {
          pieces.append(Piece(sequence: index, head: head, queries: start..<min(sequence.count, start + rows)))
        }
      }
    }
    let work = pieces
    parallel.forEach(work.count) { index in
      let piece = work[index]
      attend(sequences[piece.sequence], head: piece.head, queries: piece.queries)
    }
  }

  private func attend(_ sequence: Sequence, head: Int, queries: Range<Int>) {
    let queryWidth = headCount * keySize, keyWidth = keyValueHeadCount * keySize
    let resultWidth = headCount * valueSize, valueWidth = keyValueHeadCount * valueSize
    let keyHead = head / (headCount / keyValueHeadCount)
    let lastKey = keyEnd(of: sequence.first + queries.upperBound - 1, tokens: sequence.first + sequence.count)
    let firstKey = oldestKey(of: sequence.first + queries.lowerBound) / LinearAlgebra.depthBlock * LinearAlgebra.depthBlock
    let keyCount = lastKey - firstKey
    let scores = AlignedScratch(count: queries.count * keyCount)
    let alone = Parallel(threads: 1)

    let products = LinearAlgebra.Product(
      a: LinearAlgebra.Operand(
        base: sequence.queries + queries.lowerBound * queryWidth + head * keySize, stride: queryWidth, isDepthContiguous: true),
      b: LinearAlgebra.Operand(base: sequence.keys + firstKey * keyWidth + keyHead * keySize, stride: keyWidth, isDepthContiguous: true),
      m: queries.count, n: keyCount, k: keySize)
    products.run(into: scores.base, stride: keyCount, parallel: alone)

    for query in queries {
      let position = sequence.first + query
      let row = scores.base + (query - queries.lowerBound) * keyCount
      if let choice = sequence.choice {
        keep(row, keys: firstKey..<lastKey, UnsafeBufferPointer(start: choice + query * sequence.choiceCount, count: sequence.choiceCount))
      }
      normalise(
        row, keys: firstKey..<lastKey, position: position,
        slope: slopes.isEmpty ? 0 : slopes[head], sink: sinks.isEmpty ? nil : sinks[head])
    }

    let mixture = LinearAlgebra.Product(
      a: LinearAlgebra.Operand(base: scores.base, stride: keyCount, isDepthContiguous: true),
      b: LinearAlgebra.Operand(
        base: sequence.values + firstKey * valueWidth + keyHead * valueSize, stride: valueWidth, isDepthContiguous: false),
      m: queries.count, n: valueSize, k: keyCount)
    mixture.run(into: sequence.result + queries.lowerBound * resultWidth + head * valueSize, stride: resultWidth, parallel: alone)
  }

  /// Keeps the products of chosen keys alone.
  private func keep(_ row: UnsafeMutablePointer<Float>, keys: Range<Int>, _ choice: UnsafeBufferPointer<Float>) {
    let kept = AlignedScratch(count: keys.count)
    kept.base.update(repeating: -.infinity, count: keys.count)
    for position in choice where position >= 0 && keys.contains(Int(position)) {
      kept.base[Int(position) - keys.lowerBound] = row[Int(position) - keys.lowerBound]
    }
    row.update(from: kept.base, count: keys.count)
  }

  /// Turns a row of products into probabilities; keys that the position does not see get zero.
  private func normalise(_ row: UnsafeMutablePointer<Float>, keys: Range<Int>, position: Int, slope: Float, sink: Float?) {
    let oldest = max(keys.lowerBound, oldestKey(of: position)) - keys.lowerBound
    let seen = keyEnd(of: position, tokens: keys.upperBound) - keys.lowerBound
    for i in 0..<oldest { row[i] = -.infinity }
    for i in oldest..<seen { row[i] *= scale }
    if let cap {
      // In doubles, so that rounding to float hides differences between C libraries.
      for i in oldest..<seen { row[i] = cap * Float(tanh(Double(row[i] / cap))) }
    }
    if slope != 0 {
      for i in oldest..<seen { row[i] -= slope * Float(abs(position - keys.lowerBound - i)) }
    }
    if let sink {
      softmax(row, count: seen, beside: sink)
    } else {
      VectorKernels.softmax(row, count: seen)
    }
    for i in seen..<keys.count { row[i] = 0 }
  }

  /// The softmax over some scores and one more, whose share is dropped.
  private func softmax(_ row: UnsafeMutablePointer<Float>, count: Int, beside sink: Float) {
    let all = AlignedScratch(count: count + 1)
    all.base.update(from: row, count: count)
    all.base[count] = sink
    VectorKernels.softmax(all.base, count: count + 1)
    row.update(from: all.base, count: count)
  }

  /// One more than the last position that a query sees among the first `tokens`.
  private func keyEnd(of position: Int, tokens: Int) -> Int {
    isCausal ? position + 1 : min(tokens, window.map { position + $0 } ?? tokens)
  }

  private func oldestKey(of position: Int) -> Int {
    max(window.map { position - $0 + 1 } ?? 0, chunk.map { position / max(1, $0) * $0 } ?? 0, 0)
  }
}

extension Matrix {
  /// Calls `body` with pointers to this matrix (for writing) and three inputs.
  fileprivate mutating func withPointers(
    _ a: Matrix, _ b: [Float], _ c: [Float],
    _ body: (UnsafeMutablePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
  ) {
    values.withUnsafeMutableBufferPointer { target in
      a.values.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
          c.withUnsafeBufferPointer { c in
            guard let target = target.baseAddress, let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
            body(target, a, b, c)
          }
        }
      }
    }
  }
}
