import Glibc
import QuantCore
import Testing

/// Compares feed-forward networks and mixtures of experts with their formulas, computed token by token.
@Suite struct MixturePartTests {
  private static let width = 12
  private static let expert = FeedForward(width: width, innerSize: 10, activation: .silu)

  private static func mixture(_ routing: ExpertRouting, shared: Bool = false, weighs: Bool = false) -> MixtureOfExperts {
    MixtureOfExperts(
      expert, expertCount: 8, routing: routing, shared: shared ? FeedForward(width: width, innerSize: 14, activation: .silu) : nil,
      weighsShared: weighs)
  }

  static let variants: [String: MixtureOfExperts] = {
    func groups(_ scoredBy: Int, _ weights: ExpertRouting.Weights, correction: Bool) -> ExpertRouting {
      ExpertRouting(
        expertsPerToken: 3, weights: weights, hasCorrection: correction, groups: .init(count: 4, chosen: 2, scoredBy: scoredBy), scale: 2.5)
    }
    var latent = mixture(ExpertRouting(expertsPerToken: 2, weights: .normalisedSigmoid), shared: true)
    latent.expert.width = 7
    latent.widthAroundLatent = width
    var weighed = ExpertRouting(expertsPerToken: 2, weights: .sigmoid)
    weighed.weighsInput = true
    return [
      "softmax of chosen": mixture(ExpertRouting(expertsPerToken: 2, weights: .softmaxOfChosen)),
      "softmax": mixture(ExpertRouting(expertsPerToken: 3, weights: .softmax)),
      "sigmoid": mixture(ExpertRouting(expertsPerToken: 3, weights: .sigmoid)),
      "normalised sigmoid": mixture(ExpertRouting(expertsPerToken: 3, weights: .normalisedSigmoid, scale: 2.5)),
      "correction": mixture(ExpertRouting(expertsPerToken: 3, weights: .normalisedSigmoid, hasCorrection: true)),
      "corrected softmax": mixture(ExpertRouting(expertsPerToken: 3, weights: .softmaxOfChosen, hasCorrection: true)),
      "weighed inputs": mixture(weighed), "latent": latent,
      "sparse mixer": mixture(ExpertRouting(expertsPerToken: 3, weights: .sparseMixer(share: 0.6))),
      "groups by the best": mixture(groups(1, .softmax, correction: false)),
      "groups by the best two": mixture(groups(2, .normalisedSigmoid, correction: true), shared: true),
      "shared": mixture(ExpertRouting(expertsPerToken: 2, weights: .softmaxOfChosen), shared: true),
      "weighed shared": mixture(ExpertRouting(expertsPerToken: 2, weights: .softmax), shared: true, weighs: true),
    ]
  }()
  static let names = variants.keys.sorted()

  /// A router with a norm of its own reads its channels times a factor, and the weights of experts have factors. (Norms change nothing in
  /// this context.)
  @Test func aRouterOfItsOwnScalesItsInput() throws {
    let plain = Self.mixture(ExpertRouting(expertsPerToken: 3, weights: .softmaxOfChosen))
    var own = plain
    own.norms = MixtureOfExperts.Norms(
      experts: Norm(.expertNorm, .rootMeanSquare, epsilon: 0), router: Norm(.routerNorm, .rootMeanSquare, epsilon: 0), routerScale: 0.5)
    own.routing.scalesExperts = true
    #expect(own.linears.first?.input == .routerInput && own.inputSites.isEmpty)
    #expect(own.folds.first?.producer == .norm(.expertNorm) && own.folds.first?.sites == (0..<8).map { .expertInput($0) })
    var random = TestRandom(seed: 4)
    let input = random.matrix(20, Self.width)
    let context = PartContext(SequenceRows(length: 20))
    context.fill(own)
    context.vectors[TensorID(.expertScales)] = [Float](repeating: 2, count: 8)
    let result = try #require(own.run(input, in: context))
    let router = try #require(context.matrices[.router])
    context.matrices[.router] = Matrix(rows: router.rows, columns: router.columns, values: router.values.map { $0 / 2 })
    context.vectors[TensorID(.expertScales)] = nil
    let expected = try #require(plain.run(input, in: context)).values.map { 2 * $0 }
    #expect(relativeDifference(result.values, expected) < 1e-6)
  }

  @Test(arguments: names) func mixturesComputeTheirFormula(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 3)
    let input = random.matrix(40, Self.width)
    let context = PartContext(SequenceRows(length: 40))
    context.fill(part, biased: true)
    // Strong enough to change choices, but not to decide them alone.
    let correction = random.values(8, 0.2)
    context.vectors[TensorID(.routerCorrection)] = part.routing.hasCorrection ? correction : nil
    let result = try #require(part.run(input, in: context))
    var visited: Set<Int> = []
    for token in 0..<40 {
      let x = Matrix(rows: 1, columns: Self.width, values: Array(input.values[token * Self.width..<(token + 1) * Self.width]))
      let chosen = Self.choice(part.routing, context.linear(.router, x).values.map { Double($0) }, correction.map { Double($0) })
      var summed = [Double](repeating: 0, count: part.expert.width)
      for (expert, weight) in chosen {
        visited.insert(expert)
        let isInput = part.routing.weighsInput
        let seen = part.widthAroundLatent == nil ? x : context.linear(Layer(.expertLatent), x)
        let read = Matrix(rows: 1, columns: seen.columns, values: seen.values.map { isInput ? $0 * Float(weight) : $0 })
        let layers = (Layer(.gate, expert: expert), Layer(.up, expert: expert), Layer(.down, expert: expert))
        let output = Self.feedForward(read, context, layers)
        for c in output.indices { summed[c] += (isInput ? 1 : weight) * Double(output[c]) }
      }
      var expected = [Double](repeating: 0, count: Self.width)
      let sum = Matrix(rows: 1, columns: summed.count, values: summed.map { Float($0) })
      let made = part.widthAroundLatent == nil ? sum : context.linear(Layer(.expertLatentOutput), sum)
      for c in 0..<Self.width { expected[c] += Double(made[0, c]) }
      if part.shared != nil {
        let output = Self.feedForward(x, context, (Layer(.sharedGate), Layer(.sharedUp), Layer(.sharedDown)))
        let weight = part.weighsShared ? 1 / (1 + exp(-Double(context.linear(Layer(.sharedRouter), x).values[0]))) : 1
        for c in 0..<Self.width { expected[c] += weight * Double(output[c]) }
      }
      let row = Array(result.values[token * Self.width..<(token + 1) * Self.width])
      #expect(relativeDifference(row, expected.map { Float($0) }) < 1e-5, "token \(token)")
    }
    #expect(visited.count >= 5)
  }

  @Test(arguments: ["weighed shared", "latent"]) func everyLinearLayerOfAMixtureReadsASiteThatIsPassed(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 3)
    let context = PartContext(SequenceRows(length: 40))
    context.fill(part)
    _ = part.run(random.matrix(40, Self.width), in: context)
    #expect(Set(context.seen) == Set(part.linears.map(\.input)))
    #expect(Set(part.linears.map(\.layer)) == Set(part.tensors.filter { $0.shape.count == 2 }.map { Layer($0.role, expert: $0.expert) }))
    context.isOutputWanted = false
    #expect(part.run(random.matrix(4, Self.width), in: context) == nil)
  }

  @Test func theClampedGateIsThatOfItsPaper() throws {
    let part = FeedForward(width: 6, innerSize: 9, activation: .clampedSwish(alpha: 1.702, limit: 0.8))
    var random = TestRandom(seed: 4)
    let input = random.matrix(5, 6)
    let context = PartContext(SequenceRows(length: 5))
    context.fill(part)
    let result = try #require(part.run(input, in: context))
    let (gates, ups) = (context.linear(.gate, input), context.linear(.up, input))
    #expect(gates.values.contains { $0 > 0.8 } && ups.values.contains { $0 < -0.8 })
    let inner = zip(gates.values, ups.values).map { (gate: Float, up: Float) -> Float in
      let g: Double = min(Double(gate), 0.8)
      let u: Double = min(max(Double(up), -0.8), 0.8)
      let swish: Double = g / (1 + exp(-1.702 * g))
      return Float(swish * (u + 1))
    }
    let expected = context.linear(.down, Matrix(rows: 5, columns: 9, values: inner))
    #expect(relativeDifference(result.values, expected.values) < 1e-5)
    #expect(part.folds.isEmpty)
  }

  // MARK: The formulas

  private static func feedForward(_ x: Matrix, _ context: PartContext, _ layers: (gate: Layer, up: Layer, down: Layer)) -> [Float] {
    let (gate, up) = (context.linear(layers.gate, x), context.linear(layers.up, x))
    let inner = zip(gate.values, up.values).map { (gate: Float, up: Float) -> Float in
      let swish: Double = Double(gate) / (1 + exp(-Double(gate)))
      return Float(swish * Double(up))
    }
    return context.linear(layers.down, Matrix(rows: 1, columns: inner.count, values: inner)).values
  }

  /// Each choice masks those before it, and what is far below it.
  private static func sparse(_ logits: [Double], _ count: Int, _ share: Double) -> [(Int, Double)] {
    var left = logits
    var chosen: [(Int, Double)] = []
    for _ in 0..<count {
      let best = left.max() ?? 0
      let near = left.indices.filter { (best - logits[$0]) / max(abs(logits[$0]), best) <= share }
      let expert = left.firstIndex(of: best) ?? 0
      chosen.append((expert, exp(best) / near.reduce(0) { $0 + exp(left[$1]) }))
      left[expert] = -.infinity
    }
    return chosen
  }

  private static func choice(_ routing: ExpertRouting, _ logits: [Double], _ correction: [Double]) -> [(Int, Double)] {
    let sum = logits.reduce(0) { $0 + exp($1) }
    let isSigmoid = routing.weights == .sigmoid || routing.weights == .normalisedSigmoid
    let probabilities = logits.map { isSigmoid ? 1 / (1 + exp(-$0)) : exp($0) / sum }
    let scores = routing.hasCorrection ? zip(probabilities, correction).map { $0 + $1 } : probabilities
    var allowed = Set(logits.indices)
    if let groups = routing.groups {
      let size = logits.count / groups.count
      let best = (0..<groups.count).sorted { a, b in
        func value(_ group: Int) -> Double { scores[group * size..<(group + 1) * size].sorted(by: >)[..<groups.scoredBy].reduce(0, +) }
        return value(a) > value(b)
      }
      allowed = Set(best.prefix(groups.chosen).flatMap { $0 * size..<($0 + 1) * size })
    }
    let chosen = allowed.sorted { scores[$0] > scores[$1] }.prefix(routing.expertsPerToken)
    if case .sparseMixer(let share) = routing.weights { return sparse(logits, routing.expertsPerToken, Double(share)) }
    let total = chosen.reduce(0) { $0 + probabilities[$1] }
    let isNormalised = routing.weights == .softmaxOfChosen || routing.weights == .normalisedSigmoid
    return chosen.map { ($0, probabilities[$0] / (isNormalised ? total : 1) * Double(routing.scale)) }
  }
}
