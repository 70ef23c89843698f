import QuantCore
import TestSupport
import Testing

/// A `config.json` that is made from a description means the same model again.
@Suite struct WrittenConfigurationTests {
  private static let families = ["llama-biases", "llama3-rope", "mistral-window", "mixtral", "qwen2", "qwen3", "gpt2", "bloom"]

  private func rewritten(_ source: Checkpoint, _ json: JSON) -> Checkpoint {
    Checkpoint(
      path: "rewritten", format: source.format, tensors: source.tensors, naming: .huggingFace, configuration: .huggingFace(json), files: [])
  }

  @Test(arguments: families) func aDescriptionIsWrittenAsItIsRead(_ name: String) throws {
    let source = try Fixture.folder(SharedData.fixture("engine/" + name))
    let model = try Fixture.describe(source)
    let json = try #require(model.huggingFaceConfiguration)
    let again = try Fixture.describe(rewritten(source, json))
    #expect(again.family == model.family)
    #expect(again.huggingFaceConfiguration == json)
    var expected = model.parameters
    // A rewritten file may state what the first left to be worked out.
    expected.statesHeadSize = again.parameters.statesHeadSize
    #expect(again.parameters == expected)
  }

  @Test(arguments: families) func theKeysOfAGGUFMeanTheModelThatTheFolderMeant(_ name: String) throws {
    let source = try Fixture.folder(SharedData.fixture("engine/" + name))
    let model = try Fixture.describe(source)
    let stored = try Fixture.describe(GGUFTwin.of(source))
    let json = try #require(stored.huggingFaceConfiguration)
    let again = try Fixture.describe(rewritten(source, json))
    #expect(again.family == model.family)
    #expect(again.tensors.map { $0.huggingFace?.name } == model.tensors.map { $0.huggingFace?.name })
    var expected = model.parameters
    expected.statesHeadSize = again.parameters.statesHeadSize
    // GGUF keeps this number in 32 bits.
    expected.normEpsilon = again.parameters.normEpsilon
    #expect(Float(again.parameters.normEpsilon) == Float(model.parameters.normEpsilon))
    if case .llama3 = model.parameters.rope.scaling {
      // Two quotients of its four numbers are all that matters.
      let factors = zip(again.parameters.rope.frequencyFactors(), model.parameters.rope.frequencyFactors())
      #expect(factors.allSatisfy { abs($0 - $1) < 1e-4 * $1 })
      expected.rope.scaling = again.parameters.rope.scaling
    }
    #expect(again.parameters == expected)
  }

  @Test func whatTransformersHasNoClassForIsNotWritten() throws {
    let source = try Fixture.folder(SharedData.fixture("engine/llama-biases"))
    let twin = try GGUFTwin.of(source)
    // Biases in some layers only, and rotary factors of no rule.
    let fewer = Checkpoint(
      path: "twin", format: "gguf", tensors: twin.tensors.filter { $0.name != "blk.0.attn_output.bias" }, naming: .gguf,
      configuration: twin.configuration, files: [])
    #expect(try Fixture.describe(fewer).huggingFaceConfiguration == nil)
    let pairs = try Fixture.describe(source).parameters.headSize / 2
    let factors = GGUFTwin.f32("rope_freqs.weight", [pairs], (0..<pairs).map { 1 + Float($0 * $0) })
    let odd = Checkpoint(
      path: "twin", format: "gguf", tensors: twin.tensors.filter { $0.name != "rope_freqs.weight" } + [factors], naming: .gguf,
      configuration: twin.configuration, files: [])
    #expect(try Fixture.describe(odd).huggingFaceConfiguration == nil)
  }
}
