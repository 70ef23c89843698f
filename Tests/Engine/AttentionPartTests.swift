import Glibc
import QuantCore
import Testing

/// Compares attention with its formulas, computed value by value in doubles.
@Suite struct AttentionPartTests {
  private static let width = 24
  private static let tokens = 37

  /// The features of attention, each alone and many together.
  static let variants: [String: Attention] = {
    let plain = Attention(width: width, headCount: 4, keyValueHeadCount: 2, headSize: 8, rope: Rope(theta: 100, dimension: 8))
    func with(_ change: (inout Attention) -> Void) -> Attention {
      var attention = plain
      change(&attention)
      return attention
    }
    var yarn = Rope.Yarn(factor: 4, originalContext: 16)
    yarn.attentionFactor = 1.2
    return [
      "plain": plain, "no positions": with { $0.rope = nil }, "window": with { $0.window = 5 }, "chunks": with { $0.chunk = 11 },
      "temperature": with { $0.temperature = Attention.Temperature(scale: 0.8, length: 7, offset: 1) },
      "sinks": with { $0.hasSinks = true },
      "cap": with { $0.scoreCap = 0.7 }, "scale": with { $0.scale = 0.9 }, "partial": with { $0.rope?.dimension = 4 },
      "neighbours": with { $0.rope?.pairs = .neighbours }, "distance": with { $0.hasLinearBias = true },
      "yarn": with { $0.rope?.scaling = .yarn(yarn) },
      "gate": with { $0.gate = Attention.Gate() },
      "softplus gate": with { $0.gate = Attention.Gate(.softplus) },
      "gate of heads": with { $0.gate = Attention.Gate(.softplus, isOfHeads: true) },
      "scaled values": with { $0.valueScale = 0.7 },
      "some pairs": with { $0.rope?.scaling = .proportional(pairs: 2) },
      "value norm": with { $0.valueNorm = Norm(.valueNorm, .rootMeanSquare, epsilon: 1e-5, hasGain: false) },
      "keys as values": with {
        $0.keyNorm = Norm(.keyNorm, .rootMeanSquare, epsilon: 1e-5)
        $0.valueNorm = Norm(.valueNorm, .rootMeanSquare, epsilon: 1e-5, hasGain: false)
        $0.valuesAreKeys = true
      },
      "head norms": with {
        $0.queryNorm = Norm(.queryNorm, .rootMeanSquare, epsilon: 1e-5)
        $0.keyNorm = Norm(.keyNorm, .rootMeanSquare, epsilon: 1e-5)
      },
      "norms after rotation": with {
        $0.queryNorm = Norm(.queryNorm, .rootMeanSquare, epsilon: 1e-5)
        $0.keyNorm = Norm(.keyNorm, .rootMeanSquare, epsilon: 1e-5)
        $0.rotatesBeforeNorms = true
      },
      "norms without gains": with {
        $0.queryNorm = Norm(.queryNorm, .rootMeanSquare, epsilon: 1e-5, hasGain: false)
        $0.keyNorm = Norm(.keyNorm, .rootMeanSquare, epsilon: 1e-5, hasGain: false)
        $0.rotatesBeforeNorms = true
      },
      "width norms": with {
        $0.queryNorm = Norm(.queryNorm, .layer, epsilon: 1e-5)
        $0.queryNormSize = 32
      },
      "both sides": with { $0.isCausal = false },
      "window on both sides": with {
        $0.isCausal = false
        $0.window = 5
      },
      "distance on both sides": with {
        $0.isCausal = false
        $0.hasLinearBias = true
      },
      "all": with {
        $0.window = 9
        $0.hasSinks = true
        $0.scoreCap = 2
        $0.scale = 0.5
        $0.rope?.dimension = 6
        $0.queryNorm = Norm(.queryNorm, .rootMeanSquare, epsilon: 1e-5)
      },
    ]
  }()
  static let names = variants.keys.sorted()

  @Test(arguments: names) func attentionComputesItsFormula(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 5)
    let input = random.matrix(2 * Self.tokens, Self.width)
    let context = PartContext(SequenceRows(length: Self.tokens))
    context.fill(part, biased: true)
    let result = try #require(part.run(input, in: context))
    #expect(context.seen == [.attentionInput] + (part.rope == nil ? [] : [.unrotatedKeys]) + [.keys, .values, .attentionOutput])
    for sequence in 0..<2 {
      let rows = sequence * Self.tokens..<(sequence + 1) * Self.tokens
      let mixed = Self.naive(part, Array(input.values[rows.lowerBound * Self.width..<rows.upperBound * Self.width]), context)
      let expected = context.linear(.attentionOutput, Matrix(rows: Self.tokens, columns: 32, values: mixed))
      #expect(relativeDifference(Array(result.values[rows.lowerBound * Self.width..<rows.upperBound * Self.width]), expected.values) < 1e-5)
    }
  }

  /// The values' matrix is linear, and so is the mixing: a head's values of mixed inputs are the mixed values.
  @Test(arguments: names.filter { !$0.contains("value norm") && $0 != "keys as values" && !$0.contains("gate") })
  func attendedInputsAreWhatTheMixedValuesAreMadeOf(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 9)
    let input = random.matrix(2 * Self.tokens, Self.width)
    let context = PartContext(SequenceRows(length: Self.tokens))
    context.fill(part)
    let expected = try #require(part.run(input, in: context))
    #expect(context.passed[.attendedInput] == nil)
    context.observesAttendedInputs = true
    #expect(part.run(input, in: context) == expected)
    let attended = try #require(context.passed[.attendedInput])
    let mixed = try #require(context.passed[.attentionOutput]?.last)
    let matrix = try #require(context.matrices[.value])
    #expect(attended.count == 4)
    for head in 0..<4 {
      // Two heads read the same values.
      let rows = head / 2 * 8..<(head / 2 + 1) * 8
      for token in 0..<input.rows {
        for (channel, row) in rows.enumerated() {
          let value = (0..<Self.width).reduce(Float(0)) { $0 + matrix[row, $1] * attended[head][token, $1] } * part.valueScale
          #expect(abs(value - mixed[token, head * 8 + channel]) < 1e-5)
        }
      }
    }
  }

  /// Tokens that run one by one or in groups, after those in the cache, give the bits of the whole sequence.
  @Test(arguments: names.filter { !$0.hasSuffix("both sides") }) func cachedTokensGiveTheBitsOfTheWholeSequence(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 6)
    let input = random.matrix(Self.tokens, Self.width)
    let context = PartContext(SequenceRows(length: Self.tokens))
    context.fill(part)
    let whole = try #require(part.run(input, in: context))
    context.cache = PartCache()
    var first = 0
    for count in [1, 20, 1, 15] {
      context.sequences = SequenceRows(length: count, first: first)
      let rows = first * Self.width..<(first + count) * Self.width
      let part = part.run(Matrix(rows: count, columns: Self.width, values: Array(input.values[rows])), in: context)
      #expect(part?.values == Array(whole.values[rows]), "\(first)")
      first += count
    }
    #expect(first == Self.tokens && context.cache?[Site.keys.name].count == Self.tokens * 16)
  }

  /// A block with the keys and values of an earlier one has no matrices for them, and neither can scale its values.
  @Test func keysAndValuesOfAnEarlierBlockAreUsed() throws {
    var giver = try #require(Self.variants["head norms"])
    let alone = giver
    giver.sharing = .gives("all")
    var taker = giver
    taker.sharing = .takes("all")
    #expect(taker.linears.map(\.layer) == [.query, .attentionOutput] && giver.linears.count == 4)
    #expect(taker.folds.isEmpty && giver.folds.isEmpty && taker.caches.isEmpty)
    #expect(taker.tensors.filter(\.isOptional).map(\.role) == [.key, .value, .keyNorm] && !giver.tensors.contains(where: \.isOptional))
    #expect(giver.carried.map(\.width) == [16, 16] && taker.carried.isEmpty)
    var random = TestRandom(seed: 8)
    let input = random.matrix(2 * Self.tokens, Self.width)
    let context = PartContext(SequenceRows(length: Self.tokens))
    context.fill(giver)
    let expected = try #require(alone.run(input, in: context))
    #expect(giver.run(input, in: context) == expected)
    context.matrices[.key] = nil
    context.matrices[.value] = nil
    #expect(taker.run(input, in: context) == expected)
  }

  /// A change outside of the window has no effect.
  @Test func aWindowHidesWhatLiesBeyondIt() throws {
    let part = try #require(Self.variants["window"])
    var random = TestRandom(seed: 7)
    let input = random.matrix(Self.tokens, Self.width)
    let context = PartContext(SequenceRows(length: Self.tokens))
    context.fill(part)
    let before = try #require(part.run(input, in: context))
    var changed = input
    changed.values[0] += 1
    let after = try #require(part.run(changed, in: context))
    for token in 0..<Self.tokens {
      let row = token * Self.width..<(token + 1) * Self.width
      #expect((before.values[row] == after.values[row]) == (token >= 5), "\(token)")
    }
  }

  // MARK: The formulas

  private static func factor(_ gate: Attention.Gate, _ product: Double) -> Double {
    gate.function == .softplus ? log(1 + exp(product)) : 1 / (1 + exp(-product))
  }

  private static func naive(_ part: Attention, _ input: [Float], _ context: PartContext) -> [Float] {
    let x = Matrix(rows: tokens, columns: width, values: input)
    let gate = part.gate == nil ? [] : context.linear(Layer(.attentionGate), x).values
    var queries = prepared(context.linear(.query, x), part, context.vectors[TensorID(.queryNorm)], part.queryNorm)
    let keys = prepared(context.linear(.key, x), part, context.vectors[TensorID(.keyNorm)], part.keyNorm)
    var values = normed(context.linear(part.valuesAreKeys ? .key : .value, x).values.map { Double($0) }, nil, part.valueNorm)
    for i in values.indices { values[i] *= Double(part.valueScale) }
    let sinks = context.vectors[TensorID(.sinks)] ?? []
    let size = part.headSize, keyWidth = part.keyValueHeadCount * size, queryWidth = part.headCount * size
    if let temperature = part.temperature {
      for i in queries.indices {
        let position = Double(i / queryWidth + temperature.offset)
        queries[i] *= 1 + temperature.scale * log(1 + (position / Double(temperature.length)).rounded(.down))
      }
    }
    var result = [Float](repeating: 0, count: tokens * queryWidth)
    for query in 0..<tokens {
      for head in 0..<part.headCount {
        let group = head * part.keyValueHeadCount / part.headCount
        let oldest = part.window.map { max(0, query - $0 + 1) } ?? part.chunk.map { query - query % $0 } ?? 0
        let newest = part.isCausal ? query : min(tokens - 1, part.window.map { query + $0 - 1 } ?? tokens)
        var scores = (oldest...newest).map { key in
          var score = (0..<size).reduce(0.0) {
            $0 + queries[query * queryWidth + head * size + $1] * keys[key * keyWidth + group * size + $1]
          }
          score *= part.scale.map { Double($0) } ?? 1 / Double(size).squareRoot()
          if let cap = part.scoreCap { score = Double(cap) * tanh(score / Double(cap)) }
          // Four heads: slopes 1/4, 1/16, 1/64, 1/256.
          return part.hasLinearBias ? score - Double(abs(query - key)) / pow(4, Double(head + 1)) : score
        }
        if part.hasSinks { scores.append(Double(sinks[head])) }
        let sum = scores.reduce(0) { $0 + exp($1) }
        for c in 0..<size {
          let mixed = (oldest...newest).reduce(0.0) { $0 + exp(scores[$1 - oldest]) / sum * values[$1 * keyWidth + group * size + c] }
          let i = query * queryWidth + head * size + c
          result[i] = Float(mixed * (part.gate.map { factor($0, Double(gate[$0.isOfHeads ? i / size : i])) } ?? 1))
        }
      }
    }
    return result
  }

  private static func prepared(_ x: Matrix, _ part: Attention, _ gain: [Float]?, _ norm: Norm?) -> [Double] {
    let values = x.values.map { Double($0) }
    return part.rotatesBeforeNorms
      ? normed(rotated(values, part, x.columns), gain, norm) : rotated(normed(values, gain, norm), part, x.columns)
  }

  private static func normed(_ values: [Double], _ gain: [Float]?, _ norm: Norm?) -> [Double] {
    guard let norm, let gain = gain ?? (norm.hasGain ? nil : [Float](repeating: 1, count: 8)) else { return values }
    var values = values
    for start in stride(from: 0, to: values.count, by: gain.count) {
      let own = values[start..<start + gain.count]
      let mean = norm.formula == .layer ? own.reduce(0, +) / Double(gain.count) : 0
      let square = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gain.count)
      for c in gain.indices { values[start + c] = (values[start + c] - mean) / (square + norm.epsilon).squareRoot() * Double(gain[c]) }
    }
    return values
  }

  /// Factors that transformers' `dynamic` rule gives for 8 channels, the base 10,000 and an original context of 16 tokens.
  @Test(arguments: [(10, [1, 1, 1, 1]), (16, [1, 1, 1, 1]), (24, [1, 1.2599211, 1.587401, 2]), (40, [1, 1.587401, 2.5198419, 4])])
  func aDynamicBaseGrowsBeyondTheOriginalContext(_ length: Int, _ factors: [Float]) {
    let rope = Rope(theta: 10_000, dimension: 8, scaling: .dynamic(factor: 2, originalContext: 16))
    #expect(zip(rope.frequencyFactors(length: length), factors).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  private static func rotated(_ values: [Double], _ part: Attention, _ columns: Int) -> [Double] {
    var values = values
    let size = part.headSize
    guard let rope = part.rope else { return values }
    let half = rope.dimension / 2
    let frequencies = (0..<half).map { pair -> Double in
      let plain = pow(rope.theta, -2 * Double(pair) / Double(rope.dimension))
      if case .proportional(let pairs) = rope.scaling, pair >= pairs { return 0 }
      guard case .yarn(let yarn) = rope.scaling else { return plain }
      func border(_ turns: Double) -> Double {
        Double(rope.dimension) * log(Double(yarn.originalContext) / (turns * 2 * .pi)) / (2 * log(rope.theta))
      }
      let low = max(0, border(32).rounded(.down)), high = min(Double(rope.dimension - 1), border(1).rounded(.up))
      let share = min(1, max(0, (Double(pair) - low) / (high - low)))
      return plain / yarn.factor * share + plain * (1 - share)
    }
    let length = if case .yarn = rope.scaling { 1.2 } else { 1.0 }
    for token in 0..<tokens {
      for start in stride(from: token * columns, to: (token + 1) * columns, by: size) {
        for pair in 0..<half {
          let (i, j) = rope.pairs == .halves ? (start + pair, start + half + pair) : (start + 2 * pair, start + 2 * pair + 1)
          let (a, b, angle) = (values[i], values[j], Double(token) * frequencies[pair])
          values[i] = (a * cos(angle) - b * sin(angle)) * length
          values[j] = (b * cos(angle) + a * sin(angle)) * length
        }
      }
    }
    return values
  }
}
