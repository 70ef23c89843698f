import QuantCore
import TestSupport
import Testing

/// Trained models, against transformers in float32 (Interop/make_engine_fixtures.py).
@Suite struct TrainedModelTests {
  @Test func logitsAreThoseOfTransformers() throws { try checkLogits("tiny-llama", in: SharedData.fixture("models/tiny-llama")) }

  @Test(.enabled(if: SharedData.has("models"), "needs ../shared/models"), arguments: ["stories260k", "tiny-opt"])
  func logitsOfOtherModelsAreThoseOfTransformers(_ name: String) throws { try checkLogits(name, in: SharedData.path("models/" + name)) }

  private func checkLogits(_ name: String, in path: String) throws {
    let expected = try Fixture.tensors(SharedData.fixture("engine/\(name).safetensors"))
    let tokens = try Fixture.integers(expected.first { $0.name == "tokens" })
    let positions = try Fixture.integers(expected.first { $0.name == "positions" })
    let logits = try #require(expected.first { $0.name == "logits" }).matrix()
    let result = try Fixture.engine(try Fixture.folder(path)).allLogits(tokens, sequenceLength: tokens.count)
    for (row, position) in positions.enumerated() {
      let found = Array(result.values[position * result.columns..<(position + 1) * result.columns])
      #expect(relativeDifference(found, Array(logits.values[row * logits.columns..<(row + 1) * logits.columns])) < 1e-5)
    }
  }

  @Test func perplexityIsThatOfTransformers() throws { try checkPerplexity("tiny-llama", in: SharedData.fixture("models/tiny-llama")) }

  @Test(.enabled(if: SharedData.has("models"), "needs ../shared/models"), arguments: ["stories260k", "tiny-opt"])
  func perplexityOfOtherModelsIsThatOfTransformers(_ name: String) throws {
    try checkPerplexity(name, in: SharedData.path("models/" + name))
  }

  private func checkPerplexity(_ name: String, in path: String) throws {
    let expected = try Fixture.tensors(SharedData.fixture("engine/\(name).safetensors"))
    let text = try Fixture.integers(try Fixture.tensors(SharedData.fixture("engine/\(name)-text.safetensors")).first)
    let perplexity = try #require(expected.first { $0.name == "perplexity" }).matrix().values[0]
    let error = try #require(expected.first { $0.name == "standard_error" }).matrix().values[0]
    var steps: [Int] = []
    let clock = ContinuousClock()
    let start = clock.now
    let result = try Evaluation.run(
      try Fixture.engine(try Fixture.folder(path)), tokens: text, options: EvaluationOptions(), progress: { done, _ in steps.append(done) })
    let seconds = (clock.now - start) / .seconds(1)
    print("\(name): \(Int(Double(text.count) / seconds)) tokens/s in evaluation with 2 threads")
    #expect(result.tokens == 20 * 511)
    #expect(steps == [16, 20])
    let found = try #require(result.perplexity)
    #expect(abs(Float(found.value) - perplexity) < 1e-5 * perplexity)
    #expect(abs(Float(found.standardError) - error) < 1e-4 * error)
  }
}
