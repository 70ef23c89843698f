import FamilyKit
import QuantCore
import TestSupport
import Testing

/// A `config.json` that is made from a description describes the same model.
@Suite struct WrittenConfigurationTests {
  private static let families =
    [
      "llama-biases", "llama3-rope", "mistral-window", "mixtral", "qwen2", "qwen3", "qwen2-moe", "qwen3-moe", "gpt2", "bloom", "gemma3",
      "deepseek-v3",
    ] + FamilyTests.withFusedOrParallelParts + FamilyTests.withPlaceInGGUF
  /// Families or variants that have no place in a GGUF.
  private static let ofFolders =
    ["qwen2-moe-dense", "qwen3-moe-dense", "deepseek-v3-yarn", "granite-moe", "exaone4-window", "glm4-moe"]
    + FamilyTests.routed + FamilyTests.withEmbeddingsOfBlocksOrSums

  /// Whether two descriptions describe the same model.
  private func isSame(_ a: ModelDescription, _ b: ModelDescription) -> Bool {
    a.hiddenSize == b.hiddenSize && a.vocabularySize == b.vocabularySize && a.contextLength == b.contextLength
      && a.embedding == b.embedding && a.blocks == b.blocks && a.head == b.head
  }

  private func rewritten(_ source: Checkpoint, _ json: JSON) -> Checkpoint {
    Checkpoint(
      path: "rewritten", format: source.format, tensors: source.tensors, naming: .huggingFace, configuration: .huggingFace(json), files: [])
  }

  @Test(arguments: families + ofFolders) func aDescriptionIsWrittenAsItIsRead(_ name: String) throws {
    let source = try Fixture.folder(SharedData.fixture("engine/" + name))
    let model = try Fixture.describe(source)
    let json = try #require(model.huggingFaceConfiguration)
    let again = try Fixture.describe(rewritten(source, json))
    #expect(again.family == model.family)
    #expect(again.huggingFaceConfiguration == json)
    #expect(isSame(again, model))
  }

  @Test(arguments: families) func theKeysOfAGGUFMeanTheModelThatTheFolderMeant(_ name: String) throws {
    let source = try Fixture.folder(SharedData.fixture("engine/" + name))
    let model = try Fixture.describe(source)
    let stored = try Fixture.describe(GGUFTwin.of(source))
    let json = try #require(stored.huggingFaceConfiguration)
    let again = try Fixture.describe(rewritten(source, json))
    #expect(again.family == model.family)
    #expect(again.tensors.map { $0.name(.huggingFace) } == model.tensors.map { $0.name(.huggingFace) })
    // GGUF stores 32-bit floats, and only the quotients of the four parameters of Llama 3.1's rule.
    #expect(Float(again.norm?.epsilon ?? 0) == Float(model.norm?.epsilon ?? 1))
    let factors = (again.attention.rope?.frequencyFactors() ?? [], model.attention.rope?.frequencyFactors() ?? [])
    #expect(factors.0.count == factors.1.count && zip(factors.0, factors.1).allSatisfy { abs($0 - $1) < 1e-4 * $1 })
    #expect(isSame(rounded(again), rounded(model)))
  }

  @Test func wholeNumbersAreWrittenAsIntegers() throws {
    let model = try Fixture.describe(Fixture.folder(SharedData.fixture("engine/gemma3")))
    #expect(model.huggingFaceConfiguration?["query_pre_attn_scalar"]?.intValue != nil)
  }

  /// The model with everything that a GGUF does not store exactly set to a constant.
  private func rounded(_ model: ModelDescription) -> ModelDescription {
    func rounded(_ norm: Norm?) -> Norm? { norm.map { Norm($0.role, $0.formula, epsilon: 1) } }
    var model = model
    model.head.norm = rounded(model.head.norm)
    model.embedding.norm = rounded(model.embedding.norm)
    model.blocks = model.blocks.map { block in
      BlockDescription(
        block.branches.map { branch in
          var branch = branch
          (branch.norm, branch.outputNorm, branch.sumNorm) = (rounded(branch.norm), rounded(branch.outputNorm), rounded(branch.sumNorm))
          if var attention = branch.part as? Attention {
            if case .llama3? = attention.rope?.scaling { attention.rope?.scaling = .none }
            (attention.queryNorm, attention.keyNorm) = (rounded(attention.queryNorm), rounded(attention.keyNorm))
            branch.part = attention
          }
          if var attention = branch.part as? LatentAttention {
            (attention.latentNorm.epsilon, attention.queryLatentNorm.epsilon) = (1, 1)
            branch.part = attention
          }
          return branch
        })
    }
    return model
  }

  @Test func whatTransformersHasNoClassForIsNotWritten() throws {
    let source = try Fixture.folder(SharedData.fixture("engine/llama-biases"))
    let twin = try GGUFTwin.of(source)
    // Biases in some layers only, and rotary factors that follow no rule.
    let fewer = Checkpoint(
      path: "twin", format: "gguf", tensors: twin.tensors.filter { $0.name != "blk.0.attn_output.bias" }, naming: .gguf,
      configuration: twin.configuration, files: [])
    #expect(try Fixture.describe(fewer).huggingFaceConfiguration == nil)
    let pairs = try Fixture.describe(source).attention.headSize / 2
    let factors = GGUFTwin.f32("rope_freqs.weight", [pairs], (0..<pairs).map { 1 + Float($0 * $0) })
    let odd = Checkpoint(
      path: "twin", format: "gguf", tensors: twin.tensors.filter { $0.name != "rope_freqs.weight" } + [factors], naming: .gguf,
      configuration: twin.configuration, files: [])
    #expect(try Fixture.describe(odd).huggingFaceConfiguration == nil)
  }
}

extension ModelDescription {
  /// The `config.json` that describes the model.
  fileprivate var huggingFaceConfiguration: JSON? { configurations[.huggingFace]?.json }
}
