import FamilyKit
import QuantCore
import TestSupport
import Testing

/// Random encoders, against transformers in float32 (Interop/make_engine_fixtures.py), and how encoders are judged.
@Suite struct EncoderTests {
  static let names = ["bert", "roberta", "distilbert", "modernbert", "embedding-gemma"]
  private static let length = 40

  private static func states(_ engine: Engine, _ tokens: [Int], length: Int = length) throws -> Matrix {
    var hidden = try engine.embed(tokens, sequenceLength: length)
    for block in engine.model.blocks.indices { engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: length) }
    return hidden
  }

  @Test(arguments: names) func hiddenStatesAreThoseOfTransformers(_ name: String) throws {
    let folder = SharedData.fixture("engine/" + name)
    let expected = try Fixture.tensors(folder + "/expected.safetensors")
    let tokens = try Fixture.integers(expected.first { $0.name == "tokens" })
    let engine = try Fixture.engine(try Fixture.folder(folder))
    let found = engine.outputs(try Self.states(engine, tokens))
    #expect(found.rows == 80 && found.columns == 32)
    #expect(relativeDifference(found.values, try #require(expected.first { $0.name == "states" }).matrix().values) < 1e-5)
  }

  @Test func onlyTheRowsOfThePositionsThatAreUsedGoIntoAGGUF() throws {
    let model = try Fixture.describe(Fixture.folder(SharedData.fixture("engine/roberta")))
    let table = try #require(model.tensor(TensorID(.positionEmbedding)))
    #expect(table.place(.huggingFace)?.shape == [64, 32] && table.place(.huggingFace)?.layout.firstRow == 2)
    #expect(table.place(.gguf)?.shape == [62, 32] && model.contextLength == 62)
  }

  // MARK: Judging

  /// The BERT with its last norm multiplied by a factor for some channels.
  private func engine(scaling factor: Float = 1) throws -> Engine {
    let source = try Fixture.folder(SharedData.fixture("engine/bert"))
    let tensors = source.tensors.map { tensor in
      guard tensor.name == "encoder.layer.1.output.LayerNorm.weight" else { return tensor }
      return GGUFTwin.f32(tensor.name, tensor.shape, tensor.matrix().values.enumerated().map { $0 < 4 ? $1 * factor : $1 })
    }
    return try Fixture.engine(
      Checkpoint(path: "twin", format: "fixture", tensors: tensors, naming: .huggingFace, configuration: source.configuration, files: []))
  }

  private let tokens = (0..<200).map { 5 + ($0 * 53 + 11) % 90 }
  private var options: EvaluationOptions {
    var options = EvaluationOptions(context: 24)
    options.frame = TokenizerData.Template(front: [2], back: [3])
    return options
  }

  @Test func vectorsOfAModelAreItsOwn() throws {
    let model = try engine()
    let result = try Evaluation.run(model, tokens: tokens, options: options, reference: model)
    let vectors = try #require(result.vectors)
    #expect(result.perplexity == nil && result.windows == 9 && result.tokens == 9 * 24)
    #expect(abs(vectors.cosineMinimum - 1) < 1e-12 && vectors.ranks == 1)
  }

  @Test func cosinesFollowTheirDefinition() throws {
    let (model, reference) = (try engine(scaling: 2), try engine())
    let result = try Evaluation.run(model, tokens: tokens, options: options, reference: reference)
    let cosines = try (0..<9).map { window in
      let ids = [2] + tokens[window * 22..<(window + 1) * 22] + [3]
      let (a, b) = (try mean(model, ids), try mean(reference, ids))
      func product(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
      return product(a, b) / (product(a, a) * product(b, b)).squareRoot()
    }
    let vectors = try #require(result.vectors)
    #expect(abs(vectors.cosine.value - cosines.reduce(0, +) / 9) < 1e-6)
    #expect(abs(vectors.cosineMinimum - (cosines.min() ?? 0)) < 1e-6)
    #expect(vectors.cosine1 >= vectors.cosineMinimum && vectors.cosine.value < 0.9999)
    #expect(try #require(vectors.ranks) < 1)
  }

  private func mean(_ engine: Engine, _ ids: [Int]) throws -> [Double] {
    let states = engine.outputs(try Self.states(engine, ids, length: ids.count))
    return (0..<states.columns).map { c in (0..<states.rows).reduce(0.0) { $0 + Double(states[$1, c]) } / Double(states.rows) }
  }

  @Test func equalValuesShareTheirRank() {
    #expect(VectorComparison.ranked([3, 1, 3, 2]) == [2.5, 0, 2.5, 1])
    #expect(abs(VectorComparison.correlation([0, 1, 2], [2, 1, 0]) + 1) < 1e-12)
  }

  private func failureID(_ body: () throws -> Void) -> String? {
    do { try body() } catch { return (error as? Failure)?.id }
    return nil
  }

  @Test func anEncoderHasNoLogits() throws {
    let model = try engine()
    var generator = Generator(model)
    #expect(failureID { _ = try generator.generate(prompt: [1], limit: 1, stop: []) } == "model.no-logits")
    #expect(failureID { _ = try Evaluation.run(model, tokens: tokens, options: options) } == "evaluate.reference")
    let decoder = try Fixture.engine(try Fixture.folder(SharedData.fixture("engine/qwen2")))
    let compared = failureID { _ = try Evaluation.run(decoder, tokens: tokens, options: options, reference: model) }
    #expect(compared == "model.no-logits")
    var other = options
    other.protocol = .llamaCpp
    #expect(failureID { _ = try Evaluation.run(model, tokens: tokens, options: other, reference: model) } == "evaluate.encoder")
  }
}
