import LowRank
import QuantCore
import Testing

/// Corrections of rounding errors. The expected values are numpy's, by the formulas of the papers: a singular value decomposition of the
/// error times a root of the weights, and the inverse of that root.
@Suite struct LowRankTests {
  /// A matrix and inputs of a linear congruential generator, as the script of the expected values makes them.
  private static func task(rows: Int, columns: Int, tokens: Int, seed: UInt32, rank: Int = 4, threads: Int = 2) -> CorrectionTask {
    var state = seed
    func next() -> Float {
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Double(state >> 8) / 0x1p24 - 0.5)
    }
    let error = Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in next() })
    let inputs = Matrix(rows: tokens, columns: columns, values: (0..<tokens * columns).map { next() * Float(1 + $0 % columns % 7) })
    var statistics = SiteStatistics(channels: columns)
    statistics.tokens = tokens
    var gram = [Double](repeating: 0, count: columns * columns)
    for token in 0..<tokens {
      for i in 0..<columns {
        statistics.meanAbsolute[i] += inputs[token, i].magnitude / Float(tokens)
        for j in 0..<columns { gram[i * columns + j] += Double(inputs[token, i]) * Double(inputs[token, j]) }
      }
    }
    statistics.gram = gram.map { Float($0) }
    return CorrectionTask(name: "w", error: error, statistics: statistics, rank: rank, parallel: Parallel(threads: threads))
  }

  private static let methods: [String: any QuantizationMethod.Type] = [
    "lorc": LoRC.self, "lqer": LQER.self, "eora": EoRA.self, "lq-lora": LQLoRA.self,
  ]

  private static func method(_ name: String, _ given: [String: String] = [:]) throws -> any QuantizationMethod {
    let type = try #require(methods[name])
    return try type.init(OptionValues(given, declarations: type.options, plugin: name))
  }

  private static func product(_ factors: LowRankFactors) -> Matrix {
    Matrix.multiply(factors.outputs, factors.inputs, parallel: Parallel(threads: 1))
  }

  /// The weighted squares that a correction leaves.
  private static func rest(_ name: String, _ task: CorrectionTask, _ product: Matrix) throws -> Double {
    let statistics = try #require(task.statistics)
    let columns = task.error.columns
    var sum = 0.0
    for row in 0..<task.error.rows {
      let left = (0..<columns).map { Double(task.error[row, $0]) - Double(product[row, $0]) }
      for i in 0..<columns {
        switch name {
        case "lorc": sum += left[i] * left[i]
        case "lqer": sum += left[i] * left[i] * Double(statistics.meanAbsolute[i]) * Double(statistics.meanAbsolute[i])
        default: for j in 0..<columns { sum += left[i] * Double(statistics.gram[i * columns + j]) * left[j] }
        }
      }
    }
    return sum
  }

  struct Expected: Sendable {
    var name: String
    var rows: Int
    var columns: Int
    var seed: UInt32
    var rest: Double
    var first: [Float]
    var last: [Float]
  }

  private static let expected = [
    Expected(
      name: "lorc", rows: 24, columns: 40, seed: 1, rest: 49.46037539586869, first: [-0.0891238, -0.144325, 0.00313211, -0.145071],
      last: [0.411885, -0.397532, 0.0884736, -0.125175]),
    Expected(
      name: "lqer", rows: 24, columns: 40, seed: 1, rest: 46.52966210306155, first: [-0.0321342, -0.0714873, -0.0157882, -0.0583199],
      last: [0.136281, -0.1947, 0.0196308, -0.131194]),
    Expected(
      name: "eora", rows: 24, columns: 40, seed: 1, rest: 3683.104871631356, first: [-0.0460184, 0.0224509, -0.0139377, -0.0549364],
      last: [0.191462, -0.0998144, 0.213294, -0.2312]),
    Expected(
      name: "lorc", rows: 40, columns: 24, seed: 2, rest: 49.57751590452365, first: [0.0512921, 0.10248, 0.135166, 0.0599749],
      last: [-0.241327, 0.0810167, 0.171383, -0.416213]),
    Expected(
      name: "lqer", rows: 40, columns: 24, seed: 2, rest: 43.93636779334581, first: [0.070458, 0.105587, 0.0972844, -0.0635328],
      last: [-0.0618022, 0.0795431, -0.128263, -0.220267]),
    Expected(
      name: "eora", rows: 40, columns: 24, seed: 2, rest: 3171.0691658209116, first: [0.0771299, 0.0617119, 0.0420908, 0.0766778],
      last: [-0.101063, 0.0229902, -0.116339, -0.11455]),
  ]

  @Test(arguments: expected) func theProductIsTheTruncatedDecomposition(_ expected: Expected) throws {
    let task = LowRankTests.task(rows: expected.rows, columns: expected.columns, tokens: 64, seed: expected.seed)
    let product = LowRankTests.product(try LowRankTests.method(expected.name).factors(for: task))
    for (value, wanted) in zip(product.values.prefix(4) + product.values.suffix(4), expected.first + expected.last) {
      #expect(abs(value - wanted) < 1e-5)
    }
    #expect(abs(try LowRankTests.rest(expected.name, task, product) / expected.rest - 1) < 1e-6)
  }

  /// Of noise, whose singular values are close together, no more than a ten-thousandth of the best possible error is missed.
  @Test(arguments: [("lorc", 4390.918651487157), ("lqer", 5122.380729208222), ("eora", 2599998.02992096)])
  func noiseIsApproximatedAsWell(_ name: String, _ best: Double) throws {
    let task = LowRankTests.task(rows: 300, columns: 200, tokens: 400, seed: 3, rank: 8)
    let product = LowRankTests.product(try LowRankTests.method(name).factors(for: task))
    let rest = try LowRankTests.rest(name, task, product)
    #expect(rest > best * (1 - 1e-6) && rest < best * (1 + 1e-4))
  }

  @Test(arguments: ["lorc", "lqer", "eora"]) func threadsDoNotChangeABit(_ name: String) throws {
    let method = try LowRankTests.method(name)
    let one = try method.factors(for: LowRankTests.task(rows: 70, columns: 130, tokens: 20, seed: 5, threads: 1))
    let many = try method.factors(for: LowRankTests.task(rows: 70, columns: 130, tokens: 20, seed: 5, threads: 5))
    #expect(one == many)
  }

  @Test func anErrorOfLowRankIsRemoved() throws {
    let (b, a) = (
      LowRankTests.task(rows: 30, columns: 2, tokens: 1, seed: 6).error, LowRankTests.task(rows: 2, columns: 20, tokens: 1, seed: 7).error
    )
    let error = Matrix.multiply(b, a, parallel: Parallel(threads: 1))
    for rank in [2, 5, 64] {
      let factors = try LowRankTests.method("lorc").factors(for: CorrectionTask(name: "w", error: error, statistics: nil, rank: rank))
      #expect(factors.outputs.columns == rank && factors.inputs.rows == rank)
      let product = LowRankTests.product(factors)
      #expect(zip(product.values, error.values).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  @Test(arguments: [Float(0), .nan, 1e-30]) func hopelessErrorsAreLeftAlone(_ value: Float) throws {
    let error = Matrix(rows: 6, columns: 5, values: [Float](repeating: value, count: 30))
    for name in ["lorc", "lqer", "eora"] {
      var statistics = SiteStatistics(channels: 5)
      statistics.gram = [Float](repeating: 0, count: 25)
      for known in [nil, statistics] {
        let factors = try LowRankTests.method(name).factors(for: CorrectionTask(name: "w", error: error, statistics: known, rank: 3))
        #expect(factors.outputs.values.allSatisfy(\.isFinite) && factors.inputs.values.allSatisfy(\.isFinite))
      }
    }
  }

  /// A Gram matrix of fewer tokens than channels has no inverse.
  @Test func fewTokensMakeNoLargeFactors() throws {
    let task = LowRankTests.task(rows: 30, columns: 50, tokens: 3, seed: 8, rank: 3)
    let product = LowRankTests.product(try LowRankTests.method("eora").factors(for: task))
    #expect(try LowRankTests.rest("eora", task, product) < 1e-3)
    #expect(product.values.allSatisfy { abs($0) < 2 })
  }

  @Test func everyTurnBringsCodesAndCorrectionNearer() throws {
    let weights = LowRankTests.task(rows: 48, columns: 64, tokens: 1, seed: 9).error
    let scheme = try #require(IntegerSchemes.scheme(named: "int3-g32", modelType: .f16))
    var last = Double.infinity
    for turns in [1, 2, 8] {
      let method = try LowRankTests.method("lq-lora", ["rank": "6", "turns": "\(turns)"])
      let before = try method.anticipation(of: AnticipationTask(weights: weights, scheme: scheme, statistics: nil, rank: 6))
      // The first turn is LoRC: weights are rounded as they are.
      #expect((before == nil) == (turns == 1))
      var base = weights
      if let before { for (place, value) in LowRankTests.product(before).values.enumerated() { base.values[place] -= value } }
      let rounded = base.withPanel { scheme.roundTrip($0) }
      let error = Matrix(rows: 48, columns: 64, values: zip(weights.values, rounded).map { $0 - $1 })
      let task = CorrectionTask(name: "w", error: error, statistics: nil, rank: 6)
      let product = LowRankTests.product(try method.factors(for: task))
      let rest = zip(error.values, product.values).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
      #expect(rest < 0.999 * last)
      last = rest
    }
  }

  @Test func optionsAreChecked() throws {
    #expect(try LowRankTests.method("lorc").correction == CorrectionShape(rank: 8, bits: 16))
    #expect(try LowRankTests.method("eora", ["rank": "64", "bits": "8"]).correction == CorrectionShape(rank: 64, bits: 8))
    for wrong in [["rank": "0"], ["rank": "257"], ["bits": "4"], ["ranks": "1"]] {
      #expect(throws: Failure.self) { try LowRankTests.method("lqer", wrong) }
    }
  }
}
