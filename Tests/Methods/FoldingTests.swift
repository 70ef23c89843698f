import QuantCore
import TestSupport
import Testing

/// A tiny block with grouped heads: 4 query heads on 2 key-value heads of size 2.
func tinyWorkspace(threads: Int = 1, scheme: (any Scheme)? = IntegerScheme.named("int4-g16")) -> BlockWorkspace {
  var random = SystemlessRandom(seed: 7)
  let hidden = 16, feedForward = 32, heads = 4, keyValueHeads = 2, headSize = 4
  let block = BlockDescription([
    Branch(
      norm: Norm(.attentionNorm, .rootMeanSquare, epsilon: 1e-5),
      Attention(width: hidden, headCount: heads, keyValueHeadCount: keyValueHeads, headSize: headSize)),
    Branch(
      norm: Norm(.feedForwardNorm, .rootMeanSquare, epsilon: 1e-5), FeedForward(width: hidden, innerSize: feedForward, activation: .silu)),
  ])
  let graph = block.graph
  let model = ModelDescription.of([block], hiddenSize: hidden)
  let shapes: [Layer: (Int, Int)] = [
    .query: (heads * headSize, hidden), .key: (keyValueHeads * headSize, hidden), .value: (keyValueHeads * headSize, hidden),
    .attentionOutput: (hidden, heads * headSize), .gate: (feedForward, hidden), .up: (feedForward, hidden),
    .down: (hidden, feedForward),
  ]
  var matrices: [Layer: Matrix] = [:]
  for role in graph.linears.map(\.layer) {
    guard let (rows, columns) = shapes[role] else { continue }
    matrices[role] = Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in random.normal() })
  }
  var vectors: [TensorID: [Float]] = [:]
  vectors[TensorID(.attentionNorm, block: 0)] = (0..<hidden).map { _ in 1 + random.normal() / 8 }
  vectors[TensorID(.feedForwardNorm, block: 0)] = (0..<hidden).map { _ in 1 + random.normal() / 8 }
  vectors[TensorID(.value, block: 0, isBias: true)] = (0..<keyValueHeads * headSize).map { _ in random.normal() }
  var statistics: [Site: SiteStatistics] = [:]
  for site in graph.sites {
    let channels = site == .feedForwardOutput ? feedForward : hidden
    statistics[site] = randomStatistics(channels: channels, tokens: 200, random: &random)
  }
  var schemes: [Layer: any Scheme] = [:]
  if let scheme { for role in matrices.keys { schemes[role] = scheme } }
  return BlockWorkspace(
    index: 0, model: model, matrices: matrices, vectors: vectors, statistics: statistics, schemes: schemes,
    parallel: Parallel(threads: threads)
  ) { name in
    guard let scheme = IntegerScheme.named(name) else { throw Failure(.usage, "scheme.unknown", name) }
    return scheme
  }
}

/// Statistics of tokens with two channels that are louder than the others.
func randomStatistics(channels: Int, tokens: Int, loudness: Float = 20, random: inout SystemlessRandom) -> SiteStatistics {
  var statistics = SiteStatistics(channels: channels)
  statistics.gram = [Float](repeating: 0, count: channels * channels)
  for _ in 0..<tokens {
    let x = (0..<channels).map { c in random.normal() * (c == 3 || c == 5 ? loudness : 1) }
    for i in 0..<channels {
      statistics.meanAbsolute[i] += abs(x[i]) / Float(tokens)
      for j in 0..<channels { statistics.gram[i * channels + j] += x[i] * x[j] }
    }
  }
  statistics.tokens = tokens
  return statistics
}

/// Random numbers that are the same on every run.
struct SystemlessRandom {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> Double {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Double(state >> 11) / Double(1 << 53)
  }
  /// Sum of twelve uniform numbers: close enough to a normal distribution.
  mutating func normal() -> Float { Float((0..<12).reduce(0.0) { sum, _ in sum + next() } - 6) }
}

extension IntegerScheme {
  static func named(_ name: String) -> (any Scheme)? { IntegerSchemes.scheme(named: name, modelType: .f32) }
}

@Test func foldIntoANormMultipliesEveryConsumerAndDividesTheGain() throws {
  let before = tinyWorkspace()
  var after = before
  let scales = (0..<16).map { 0.5 + Float($0) / 8 }
  after.apply(before.graph.folds[0], scales: scales)
  for role in [Layer.query, .key, .value] {
    let old = try #require(before.matrices[role])
    let new = try #require(after.matrices[role])
    let gain = try #require(before.vectors[TensorID(.attentionNorm, block: 0)])
    let newGain = try #require(after.vectors[TensorID(.attentionNorm, block: 0)])
    for row in 0..<old.rows {
      for c in 0..<old.columns { #expect(abs(old[row, c] * gain[c] - new[row, c] * newGain[c]) < 1e-5) }
    }
  }
  #expect(after.matrices[.gate] == before.matrices[.gate], "the consumers of another site do not change")
}

@Test func foldThroughGroupedHeadsKeepsTheProductOfValueAndOutput() throws {
  let before = tinyWorkspace()
  var after = before
  let fold = before.graph.folds[1]
  var random = SystemlessRandom(seed: 3)
  let scales = fold.tied((0..<16).map { _ in 0.5 + Float(random.next()) })
  after.apply(fold, scales: scales)
  let o = try #require(before.matrices[.attentionOutput]), o2 = try #require(after.matrices[.attentionOutput])
  let v = try #require(before.matrices[.value]), v2 = try #require(after.matrices[.value])
  let bias = TensorID(.value, block: 0, isBias: true)
  let b = try #require(before.vectors[bias]), b2 = try #require(after.vectors[bias])
  // Channel c of query head h reads row (h / 2) * 4 + c of the value projection.
  for head in 0..<4 {
    for c in 0..<4 {
      let channel = head * 4 + c, row = head / 2 * 4 + c
      for out in 0..<o.rows {
        for column in 0..<v.columns {
          #expect(abs(o[out, channel] * v[row, column] - o2[out, channel] * v2[row, column]) < 1e-4)
        }
        #expect(abs(o[out, channel] * b[row] - o2[out, channel] * b2[row]) < 1e-4)
      }
    }
  }
}

@Test func tiedScalesAreEqualAcrossTheHeadsThatShareAKeyValueHead() {
  let fold = Fold(site: .attentionOutput, producer: .valueRows(.value, queryHeads: 4, keyValueHeads: 2))
  let tied = fold.tied((0..<8).map { Float($0) })  // four heads of two channels
  #expect(tied == [1, 2, 1, 2, 5, 6, 5, 6])
}

@Test func statisticsFollowAScalingByTheirLaw() {
  var random = SystemlessRandom(seed: 11)
  var statistics = randomStatistics(channels: 4, tokens: 3, random: &random)
  let before = statistics
  let scales: [Float] = [2, 4, 0.5, 1]
  statistics.divide(by: scales)
  for i in 0..<4 {
    #expect(statistics.meanAbsolute[i] == before.meanAbsolute[i] / scales[i])
    for j in 0..<4 {
      let expected = before.gram[i * 4 + j] / scales[i] / scales[j]
      #expect(abs(statistics.gram[i * 4 + j] - expected) <= abs(expected) * 1e-6)
    }
  }
}
