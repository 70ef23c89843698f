import FamilyKit
import QuantCore
import TestSupport
import Testing

/// Language models inside of other classes compute what they compute alone.
@Suite struct LanguagePartTests {
  private let source: Checkpoint
  private let tokens = (0..<40).map { ($0 * 29 + 3) % 96 }

  init() throws { source = try Fixture.folder(SharedData.fixture("engine/qwen3")) }

  /// The checkpoint with other names and another configuration.
  private func changed(
    _ source: Checkpoint, _ architecture: String, object: String? = nil, without dropped: String = "lm_head-", name: (String) -> String
  ) -> Checkpoint {
    let stated = source.configuration?.json?.objectValue ?? []
    let named = JSON.Member("architectures", .array([.string(architecture)]))
    let json: JSON =
      if let object { .object([named, .init(object, .object(stated.filter { $0.key != "architectures" }))]) } else {
        .object([named] + stated.filter { $0.key != "architectures" })
      }
    let tensors = source.tensors.filter { !$0.name.hasPrefix(dropped) }.map {
      CheckpointTensor(name: name($0.name), shape: $0.shape, storage: $0.storage)
    }
    return Checkpoint(
      path: "changed", format: source.format, tensors: tensors, naming: .huggingFace, configuration: .huggingFace(json), files: [])
  }

  @Test(arguments: ["model.language_model.", "language_model.model.", "model.text_model."])
  func aTextConfigurationMeansItsClass(_ prefix: String) throws {
    let head = prefix.hasPrefix("model.") ? "lm_head." : "language_model.lm_head."
    let whole = changed(source, "LlavaForConditionalGeneration", object: "text_config") { name in
      name.hasPrefix("model.") ? prefix + name.dropFirst(6) : head + name.dropFirst(8)
    }
    let model = try Fixture.describe(whole)
    #expect(model.tensors.compactMap { $0.name(.huggingFace) }.allSatisfy { whole[$0] != nil })
    #expect(model.isOfOtherPart("vision_tower.patch_conv.weight", .huggingFace))
    #expect(
      try Fixture.engine(whole).allLogits(tokens, sequenceLength: 40) == Fixture.engine(source).allLogits(tokens, sequenceLength: 40))
  }

  @Test func aClassWithoutAnOutputMatrixHasNoLogits() throws {
    let bare = changed(source, "Qwen3Model", without: "lm_head.") { String($0.dropFirst(6)) }
    let model = try Fixture.describe(bare)
    #expect(model.head.isMissing)
    #expect(model.tensors.compactMap { $0.id.role == .output ? nil : $0.name(.huggingFace) }.allSatisfy { bare[$0] != nil })
    #expect(model.architecture(.gguf) == "qwen3")
    let failure = #expect(throws: Failure.self) { try model.givingLogits(file: "changed") }
    #expect(failure?.id == "model.no-output")
  }

  @Test func anInnerModelUnderTheNameOfTheWholeClassComputesTheSame() throws {
    let bare = changed(source, "Qwen3ForCausalLM", without: "nothing") { $0.hasPrefix("model.") ? String($0.dropFirst(6)) : $0 }
    #expect(try Fixture.describe(bare).tensors.compactMap { $0.name(.huggingFace) }.allSatisfy { bare[$0] != nil })
    #expect(
      try Fixture.engine(bare).allLogits(tokens, sequenceLength: 40) == Fixture.engine(source).allLogits(tokens, sequenceLength: 40))
  }

  @Test func aTiedEmbeddingIsTheOutputMatrix() throws {
    let tied = try Fixture.folder(SharedData.fixture("engine/llama-biases"))
    let bare = changed(tied, "LlamaModel") { String($0.dropFirst(6)) }
    #expect(try !Fixture.describe(bare).head.isMissing)
    #expect(try Fixture.engine(bare).allLogits(tokens, sequenceLength: 40) == Fixture.engine(tied).allLogits(tokens, sequenceLength: 40))
  }
}
