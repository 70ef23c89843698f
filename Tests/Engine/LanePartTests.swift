import Glibc
import QuantCore
import Testing

@testable import QuantEngine
@testable import QuantModel

/// Parts of models with several hidden states of each token, against their formulas in doubles.
@Suite struct LanePartTests {
  private let lanes = Lanes(count: 3, active: 1, width: 5)
  private var router: LaneRouter { LaneRouter(lanes, norm: Norm(.laneRouterNorm, .rootMeanSquare, epsilon: 0)) }

  /// Two tokens with random lanes, and random weights of a part. Norms do nothing in this context.
  private func context(_ part: any Part, _ more: [PartTensor] = []) -> (PartContext, lanes: Matrix) {
    let context = PartContext(SequenceRows(length: 2))
    context.fill(part)
    for tensor in more {
      var random = TestRandom(seed: 9)
      context.matrices[Layer(tensor.role)] = random.matrix(tensor.shape[0], tensor.shape.last ?? 1)
    }
    var random = TestRandom(seed: 4)
    let values = random.matrix(2, lanes.value.width)
    context.handedOn[lanes.value] = values
    return (context, values)
  }

  /// `matrix · tanh(router · x / width)`.
  private func coefficients(_ x: [Double], _ role: TensorRole, _ context: PartContext) throws -> [Double] {
    func product(_ role: TensorRole, _ x: [Double]) throws -> [Double] {
      let matrix = try #require(context.matrices[Layer(role)])
      return (0..<matrix.rows).map { row in (0..<matrix.columns).reduce(0) { $0 + Double(matrix[row, $1]) * x[$1] } }
    }
    return try product(role, try product(.laneRouter, x.map { $0 / 5 }).map { tanh($0) })
  }

  private func row(_ matrix: Matrix, _ row: Int, _ columns: Range<Int>) -> [Double] { columns.map { Double(matrix[row, $0]) } }

  @Test func everyLaneIsPredictedFromAll() throws {
    let part = LanePrediction(router)
    let (context, before) = context(part)
    let result = try #require(part.run(before.selecting(columns: lanes.columns(1)), in: context))
    let predicted = context.carried(lanes.value)
    for token in 0..<2 {
      let factors = try coefficients(row(before, token, lanes.columns(1)), .lanePrediction, context)
      for lane in 0..<3 {
        for c in 0..<5 {
          let sum = (0..<3).reduce(0.0) { $0 + factors[lane * 3 + $1] * Double(before[token, $1 * 5 + c]) }
          #expect(abs(Double(predicted[token, lane * 5 + c]) - Double(before[token, lane * 5 + c]) - sum) < 1e-6)
        }
      }
      #expect(row(result, token, 0..<5) == row(predicted, token, lanes.columns(1)))
    }
    #expect(part.linears.isEmpty && part.carried == [lanes.value] && part.folds.isEmpty)
  }

  @Test func everyLaneIsCorrectedByTheChangeOfOne() throws {
    let part = LaneCorrection(router)
    let (context, predicted) = context(part, [PartTensor(.laneRouter, [3, 5], .lane)])
    var random = TestRandom(seed: 8)
    let activated = random.matrix(2, 5)
    let result = try #require(part.run(activated, in: context))
    let corrected = context.carried(lanes.value)
    for token in 0..<2 {
      let factors = try coefficients(row(activated, token, 0..<5), .laneCorrection, context)
      for lane in 0..<3 {
        for c in 0..<5 {
          let change = (Double(activated[token, c]) - Double(predicted[token, 5 + c])) * (factors[lane] + 1)
          #expect(abs(Double(corrected[token, lane * 5 + c]) - Double(predicted[token, lane * 5 + c]) - change) < 1e-6)
        }
      }
      #expect(row(result, token, 0..<5) == row(corrected, token, lanes.columns(1)))
    }
  }

  @Test func whatAPartMakesOfOneLaneIsAddedToTheOthers() throws {
    let network = FeedForward(width: 5, innerSize: 4, activation: .silu)
    let part = LaneAddition(lanes, Branch(norm: nil, network), hasScale: true)
    let (context, before) = context(part)
    let active = before.selecting(columns: lanes.columns(1))
    let result = try #require(part.run(active, in: context))
    let scale = try #require(context.vector(.laneScale))
    var scaled = active
    for i in scaled.values.indices { scaled.values[i] *= scale[i % 5] }
    let added = try #require(network.run(scaled, in: context))
    let after = context.carried(lanes.value)
    for token in 0..<2 {
      #expect(row(after, token, 0..<5) == row(before, token, 0..<5))
      for lane in 1..<3 {
        for c in 0..<5 { #expect(after[token, lane * 5 + c] == before[token, lane * 5 + c] + added[token, c]) }
      }
      #expect(row(result, token, 0..<5) == row(after, token, lanes.columns(1)))
    }
    #expect(part.folds.map(\.producer) == [.norm(.laneScale), .rows(.up)])
    #expect(LaneAddition(lanes, Branch(norm: nil, network), hasScale: false).folds.map(\.producer) == [.rows(.up)])
  }

  @Test func aResidualConnectionIsLearned() throws {
    let part = LearnedResidual(width: 5, rank: 2, norm: Norm(.residualNorm, .rootMeanSquare, epsilon: 0))
    let (context, _) = context(part)
    var random = TestRandom(seed: 6)
    let input = random.matrix(2, 5)
    let result = try #require(part.run(input, in: context))
    let (left, right) = (try #require(context.matrices[Layer(.residualInput)]), try #require(context.matrices[Layer(.residualOutput)]))
    for token in 0..<2 {
      let inner = (0..<2).map { rank in (0..<5).reduce(0.0) { $0 + Double(left[rank, $1]) * Double(input[token, $1]) } }
      for c in 0..<5 {
        let product = (0..<2).reduce(0.0) { $0 + Double(right[c, $1]) * inner[$1] }
        #expect(abs(Double(result[token, c]) - Double(input[token, c]) - product) < 1e-6)
      }
    }
    // Its input is more than the input of linear layers, so no norm before it can be scaled.
    #expect(part.inputSites.isEmpty && part.folds.map(\.producer) == [.rows(Layer(.residualInput))])
    #expect(context.seen == [.residualInput, .residualOutput])
  }

  @Test(arguments: [false, true]) func channelsBelowABoundAreSilent(isOfSample: Bool) {
    var random = TestRandom(seed: 12)
    let input = random.matrix(3, 64)
    var result = input
    GaussianSparsity(deviations: 1.25, isOfSample: isOfSample).apply(&result, parallel: Parallel(threads: 2))
    for token in 0..<3 {
      let x = row(input, token, 0..<64)
      let mean = x.reduce(0, +) / 64
      let deviation = (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (isOfSample ? 63 : 64)).squareRoot()
      for c in 0..<64 { #expect(abs(Double(result[token, c]) - max(0, x[c] - mean - 1.25 * deviation)) < 1e-6) }
    }
    #expect(result.values.contains { $0 > 0 } && result.values.count { $0 == 0 } > 100)
  }
}
