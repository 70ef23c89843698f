import FamilyKit
import QuantCore
import TestSupport
import Testing

/// Whether the embedding is the output matrix where the object of a model and that of its language model speak of it differently.
@Suite struct EmbeddingTiesTests {
  /// For each class what transformers 5.24 makes of nothing, true and false in the outer object, and for each of these of nothing, true and
  /// false in `text_config` (`config_class.from_dict(…).tie_word_embeddings`; of classes that hold a whole class of a language model, that
  /// of its own configuration, where nothing means its default).
  static let expected: KeyValuePairs = [
    "Gemma3ForConditionalGeneration": "TTT TTT FFF", "Gemma3nForConditionalGeneration": "TTT TTT FFF",
    "Gemma4ForConditionalGeneration": "TTT TTT FFF", "Mistral3ForConditionalGeneration": "TTT TTT FFF",
    "InternVLForConditionalGeneration": "TTT TTT FFF", "GotOcr2ForConditionalGeneration": "TTT TTT FFF",
    "Qwen2VLForConditionalGeneration": "FTF TTT FTF", "Qwen2_5_VLForConditionalGeneration": "FTF TTT FTF",
    "LlavaForConditionalGeneration": "FTF TTT FTF", "LlavaOnevisionForConditionalGeneration": "FTF TTT FTF",
    "LlavaNextVideoForConditionalGeneration": "FTF TTT FTF", "LlavaNextForConditionalGeneration": "FFF TTT FFF",
    "VideoLlavaForConditionalGeneration": "FFF TTT FFF", "VipLlavaForConditionalGeneration": "FFF TTT FFF",
    "Idefics3ForConditionalGeneration": "FFF TTT FFF", "SmolVLMForConditionalGeneration": "FFF TTT FFF",
    "Qwen3VLForConditionalGeneration": "FFF TTT FFF", "Qwen3_5ForConditionalGeneration": "FFF TTT FFF",
    "Qwen3_5MoeForConditionalGeneration": "FFF TTT FFF", "Llama4ForConditionalGeneration": "FTF FTF FTF",
    "Qwen2AudioForConditionalGeneration": "FTF FTF FTF", "VoxtralForConditionalGeneration": "FTF FTF FTF",
  ]
  private static let answers: [Bool?] = [nil, true, false]

  private func keys(_ architecture: String, _ outer: Bool?, _ inner: Bool?) -> ConfigurationKeys {
    func stated(_ ties: Bool?) -> [JSON.Member] { ties.map { [.init("tie_word_embeddings", .bool($0))] } ?? [] }
    let members = [
      JSON.Member("architectures", .array([.string(architecture)])), .init("text_config", .object(stated(inner))),
    ]
    return ConfigurationKeys(.huggingFace(.object(members + stated(outer))), path: "model")
  }

  @Test(arguments: expected.map { ($0.key, $0.value) }) func theObjectThatTheClassReadsDecides(_ architecture: String, _ expected: String) {
    let found = EmbeddingTiesTests.answers.map { outer in
      EmbeddingTiesTests.answers.map { inner in
        keys(architecture, outer, inner).statedTie(output: nil, embedding: nil) == true ? "T" : "F"
      }.joined()
    }
    #expect(found.joined(separator: " ") == expected)
  }

  /// transformers does not tie two matrices that are both stored and differ; if all that is said is that they are one, that is an error.
  @Test func aStoredOutputMatrixDecidesWhereConfigurationsDisagree() throws {
    let tensors = try Fixture.folder(SharedData.fixture("engine/qwen3")).tensors
    let embedding = try #require(tensors.first { $0.name == "model.embed_tokens.weight" })
    let output = try #require(tensors.first { $0.name == "lm_head.weight" })
    #expect(!output.hasSameContent(as: embedding))
    for outer in EmbeddingTiesTests.answers {
      for inner in EmbeddingTiesTests.answers {
        let keys = keys("Gemma3ForConditionalGeneration", outer, inner)
        let isTied = ![outer, inner].contains(false) && [outer, inner].contains(true)
        #expect(keys.statedTie(output: output, embedding: embedding) == isTied)
        #expect(keys.statedTie(output: embedding, embedding: embedding) == (outer != false))
      }
    }
  }
}
