import QuantCore
import TestSupport
import Testing

@testable import QuantConversion

/// Files of analyses, and what follows from them.
@Suite struct SizeAnalysisTests {
  private let folder = TemporaryFolder()
  private let analysis = SizeAnalysis(
    model: "abc", methods: ["gptq:damp=0.01"], calibration: "user 1 2 3 a b", text: "user 4 5 6 c d",
    effects: [
      .init(kind: "query", blocks: 0...3, loss: 0.5, divergence: 0.25, growth: 1.5),
      .init(kind: "output", blocks: nil, loss: 0.5, divergence: 1, growth: 1),
    ],
    tensors: [
      .init(key: "blocks.0.query", weights: 64, candidates: [.init(scheme: "q4_0", bitsPerWeight: 4.5, loss: 0.01, divergence: 0.002)])
    ],
    curve: [.init(sum: 0.01, measured: 0.02), .init(sum: 0.1, measured: 0.1), .init(sum: 1, measured: 4)])

  private func written(_ json: JSON) -> String {
    let path = folder.file("a.json")
    writeFile(path, Array(json.text(pretty: true).utf8))
    return path
  }

  @Test func aFileHoldsTheWholeAnalysis() throws {
    #expect(try SizeAnalysis(path: written(analysis.json)) == analysis)
  }

  @Test(arguments: [
    ("{}", "sizes.kind"), ("[1", "sizes.kind"), (#"{"qconvert_analysis": 99}"#, "sizes.version"),
    (#"{"qconvert_analysis": 1}"#, "sizes.malformed"),
  ]) func anotherFileIsRefused(text: String, id: String) {
    writeFile(folder.file("b.json"), Array(text.utf8))
    let failure = #expect(throws: Failure.self) { try SizeAnalysis(path: folder.file("b.json")) }
    #expect(failure?.id == id && failure?.remedy != nil)
  }

  @Test(arguments: [
    (#""divergence": 0.002"#, #""divergence": -1"#), (#""weights": 64"#, #""weights": 0"#), (#""measured": 0.02"#, #""measured": 0"#),
    (#""last_block": 3"#, #""last_block": -1"#), (#""growth": 1.5"#, #""growth": 9"#), (#""sum": 0.1"#, #""sum": 1e999"#),
  ]) func valuesThatMakeNoSenseAreRefused(value: String, other: String) {
    let text = analysis.json.text(pretty: true)
    #expect(text.contains(value))
    writeFile(folder.file("c.json"), Array(text.replacing(value, with: other).utf8))
    let failure = #expect(throws: Failure.self) { try SizeAnalysis(path: folder.file("c.json")) }
    #expect(failure?.id == "sizes.malformed")
  }

  @Test func divergencesFollowTheMeasuredMixes() {
    #expect(abs(analysis.divergence(ofSum: 0.005) - 0.01) < 1e-9)
    #expect(abs(analysis.divergence(ofSum: 0.1) - 0.1) < 1e-6)
    // Half-way between logarithms: the geometric means.
    #expect(abs(analysis.divergence(ofSum: 0.316_227_766) - 0.632_455_532) < 1e-5)
    #expect(abs(analysis.divergence(ofSum: 2) - 8) < 1e-6)
    for wanted in [0.001, 0.05, 0.3, 3, 9] {
      #expect(abs(analysis.divergence(ofSum: analysis.sum(ofDivergence: wanted)) - wanted) < 1e-5 * wanted)
    }
  }

  @Test func largeErrorsGrowFasterThanTheyAdd() {
    let effect = analysis.effects[0]
    #expect(abs(effect.divergence(ofLoss: 0.1, noise: 0.2) - 0.05) < 1e-12)
    // Four times the noise, with the power of 1.5: eight times the divergence.
    #expect(abs(effect.divergence(ofLoss: 0.8, noise: 0.2) - 0.8) < 1e-6)
  }

  /// The loss under a Gram matrix is the mean square error of the layer's outputs, computed token by token.
  @Test func lossesAreErrorsOfOutputs() throws {
    let (rows, columns, tokens) = (5, 32, 40)
    var state: UInt32 = 7
    func next() -> Float {
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) / Float(1 << 23) - 1
    }
    let weights = Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in next() })
    let inputs = (0..<tokens).map { _ in (0..<columns).map { _ in next() } }
    var gram = [Float](repeating: 0, count: columns * columns)
    for x in inputs { for i in 0..<columns { for j in 0..<columns { gram[i * columns + j] += x[i] * x[j] } } }
    let scheme = try #require(IntegerSchemes.scheme(named: "int3-g32", modelType: .f16))
    let picked = CandidateRounding.Rows(weights: weights, numbers: Array(0..<rows), share: 1)
    let rounding = CandidateRounding(methods: [], parallel: Parallel(threads: 2))
    let task = RoundingTask(id: nil, name: "w", scheme: scheme, statistics: nil)
    let errors = try rounding.rounded(picked, task).minus(weights)
    var expected = 0.0
    for x in inputs {
      for row in 0..<rows {
        var sum = 0.0
        for column in 0..<columns { sum += Double(errors[row, column]) * Double(x[column]) }
        expected += sum * sum
      }
    }
    let found = rounding.power(errors, of: picked, gram: gram)
    #expect(expected > 0 && abs(found - expected) < 1e-4 * expected)
    // Noise has the same magnitudes, and both signs.
    let noise = try RoundingNoise(scheme: scheme, key: "w")(picked, parallel: Parallel(threads: 1))
    #expect(zip(noise.values, errors.values).allSatisfy { $0.magnitude == $1.magnitude })
    #expect(noise.values != errors.values && noise.values.contains { $0 > 0 } && noise.values.contains { $0 < 0 })
    #expect(try RoundingNoise(scheme: scheme, key: "w")(picked, parallel: Parallel(threads: 3)) == noise)
    #expect(try RoundingNoise(scheme: scheme, key: "v")(picked, parallel: Parallel(threads: 1)) != noise)
  }

  @Test func sampledRowsAreSpreadOverTheMatrix() {
    #expect(CandidateRounding.sample(of: 100) == [0..<100])
    #expect(CandidateRounding.sample(of: 300) == [0..<128, 128..<256, 256..<300])
    #expect(CandidateRounding.sample(of: 4096) == [0..<128, 1024..<1152, 2048..<2176, 3072..<3200])
  }
}
