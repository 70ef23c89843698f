import FamilyKit
import QuantCore
import TestSupport
import Testing

@Suite struct EvaluationTests {
  private let tokens = (0..<100).map { ($0 * 53 + 11) % 96 }

  private func engine(threads: Int = 2, changing factor: Float = 1) throws -> Engine {
    var tensors = try Fixture.folder(SharedData.fixture("engine/qwen2")).tensors
    let configuration = try Fixture.folder(SharedData.fixture("engine/qwen2")).configuration
    tensors = tensors.map { tensor in
      guard tensor.name == "lm_head.weight" else { return tensor }
      return GGUFTwin.f32(tensor.name, tensor.shape, tensor.matrix().values.map { $0 * factor })
    }
    return try Fixture.engine(
      Checkpoint(
        path: "twin", format: "fixture", tensors: tensors, naming: .huggingFace, configuration: configuration, files: []),
      threads: threads)
  }

  /// Log-probabilities of one position in doubles, by the definition.
  private func logProbabilities(_ logits: Matrix, row: Int) -> [Double] {
    let x = (0..<logits.columns).map { Double(logits[row, $0]) }
    let largest = x.max() ?? 0
    let logSum = largest + logarithm(x.reduce(0) { $0 + exponential($1 - largest) })
    return x.map { $0 - logSum }
  }

  @Test func perplexityAndDivergenceFollowTheirDefinitions() throws {
    let model = try engine(changing: 1.1)
    let reference = try engine()
    let result = try Evaluation.run(model, tokens: tokens, options: EvaluationOptions(context: 24), reference: reference)
    var losses: [Double] = []
    var divergences: [Double] = []
    for window in 0..<4 {
      let ids = Array(tokens[window * 24..<(window + 1) * 24])
      let q = try model.allLogits(ids, sequenceLength: 24)
      let p = try reference.allLogits(ids, sequenceLength: 24)
      for i in 0..<23 {
        let q = logProbabilities(q, row: i)
        let p = logProbabilities(p, row: i)
        losses.append(-q[ids[i + 1]])
        divergences.append(zip(p, q).reduce(0) { $0 + exponential($1.0) * ($1.0 - $1.1) })
      }
    }
    let count = Double(losses.count)
    let mean = losses.reduce(0, +) / count
    let variance = losses.reduce(0) { $0 + $1 * $1 } / count - mean * mean
    #expect(result.tokens == 92 && result.windows == 4)
    let perplexity = try #require(result.perplexity)
    #expect(abs(perplexity.value / exponential(mean) - 1) < 1e-12)
    #expect(abs(perplexity.standardError / (exponential(mean) * (variance / (count - 1)).squareRoot()) - 1) < 1e-9)
    let comparison = try #require(result.comparison)
    let sorted = divergences.sorted()
    #expect(abs(comparison.divergence.value / (divergences.reduce(0, +) / count) - 1) < 1e-9)
    #expect(abs(comparison.divergenceMaximum / sorted[91] - 1) < 1e-9)
    #expect(abs(comparison.divergenceMedian / ((sorted[45] + sorted[46]) / 2) - 1) < 1e-9)
    #expect(comparison.divergence99 > sorted[90] && comparison.divergence99 < sorted[91])
    // The output matrix was only scaled, so no top token changed.
    #expect(comparison.sameTop == Estimate(value: 1, standardError: 0))
  }

  @Test func aModelDoesNotDivergeFromItself() throws {
    let model = try engine()
    let result = try Evaluation.run(model, tokens: tokens, options: EvaluationOptions(context: 50), reference: model)
    let comparison = try #require(result.comparison)
    #expect(comparison.divergenceMaximum == 0)
    #expect(comparison.perplexity == result.perplexity)
  }

  @Test func llamaCppScoresTheSecondHalfAfterBOS() throws {
    let model = try engine()
    let options = EvaluationOptions(protocol: .llamaCpp, context: 24, windows: 2, beginOfSequence: 0)
    let result = try Evaluation.run(model, tokens: tokens, options: options)
    var loss = 0.0
    for window in 0..<2 {
      let ids = [0] + tokens[window * 24 + 1..<(window + 1) * 24]
      let logits = try model.allLogits(ids, sequenceLength: 24)
      for i in 12..<23 { loss -= logProbabilities(logits, row: i)[ids[i + 1]] }
    }
    #expect(result.tokens == 22)
    #expect(abs(try #require(result.perplexity).value / exponential(loss / 22) - 1) < 1e-12)
  }

  @Test func threadsChangeNoDigit() throws {
    let results = try (1...3).map { threads in
      try Evaluation.run(
        try engine(threads: threads, changing: 0.9), tokens: tokens, options: EvaluationOptions(context: 10),
        reference: try engine(threads: threads))
    }
    #expect(results[0] == results[1])
    #expect(results[0] == results[2])
  }

  @Test func impossibleRequestsAreRefused() throws {
    let model = try engine()
    func id(_ tokens: [Int], _ options: EvaluationOptions, _ reference: Engine? = nil) -> String {
      let result = Result { try Evaluation.run(model, tokens: tokens, options: options, reference: reference) }
      guard case .failure(let error) = result else { return "none" }
      return (error as? Failure)?.id ?? "\(error)"
    }
    #expect(id(tokens, EvaluationOptions(context: 1)) == "evaluate.context")
    #expect(id(tokens, EvaluationOptions(protocol: .llamaCpp, context: 2)) == "evaluate.context")
    #expect(id(tokens, EvaluationOptions(context: 101)) == "evaluate.text-short")
    #expect(id([1, 2, 96, 4], EvaluationOptions(context: 4)) == "model.token-range")
    #expect(id([1, 2, -1, 4], EvaluationOptions(context: 4)) == "model.token-range")
  }

  @Test func valuesThatAreNotFiniteAreReported() throws {
    let model = try engine(changing: .infinity)
    let error = #expect(throws: Failure.self) { try Evaluation.run(model, tokens: tokens, options: EvaluationOptions(context: 10)) }
    #expect(error?.id == "evaluate.not-finite")
  }
}
