import FamilyKit
import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// The results of gguf-py's `Metadata.get_model_id_components` and `id_to_title`.
private let names: [(id: String, weights: Int, parts: [String?], title: String)] = [
  (
    "meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400,
    ["Llama-3.2-1B-Instruct", "meta-llama", "Llama-3.2", "Instruct", nil, "1B"], "Llama 3.2 1B Instruct"
  ),
  ("Mistral-7B-v0.1", 7_241_732_096, ["Mistral-7B-v0.1", nil, "Mistral", nil, "v0.1", "7B"], "Mistral 7B v0.1"),
  ("tiny-llama", 5_900_000, ["tiny-llama", nil, nil, nil, nil, nil], "Tiny Llama"),
  ("stories260k", 260000, ["stories260k", nil, nil, nil, nil, nil], "Stories260K"),
  (
    "Qwen/Qwen2.5-0.5B-Instruct", 494_032_768,
    ["Qwen2.5-0.5B-Instruct", "Qwen", "Qwen2.5", "Instruct", nil, "0.5B"], "Qwen2.5 0.5B Instruct"
  ),
  ("bigscience/bloom-7b1-petals", 7_069_016_064, ["bloom-7b1-petals", "bigscience", "bloom", "petals", nil, "7.1B"], "Bloom 7b1 Petals"),
  (
    "TinyLlama-1.1B-Chat-v1.0", 1_100_048_384,
    ["TinyLlama-1.1B-Chat-v1.0", nil, "TinyLlama", "Chat", "v1.0", "1.1B"], "TinyLlama 1.1B Chat v1.0"
  ),
  (
    "NousResearch/Yarn-Llama-2-13b-128k", 13_015_864_320,
    ["Yarn-Llama-2-13b-128k", "NousResearch", "Yarn-Llama-2", "128k", nil, "13B"], "Yarn Llama 2 13b 128k"
  ),
  ("./model-small", 0, ["model-small", nil, "model", nil, nil, "small"], "Model Small"),
  ("A Title", 0, ["A Title", nil, nil, nil, nil, nil], "A Title"),
  (
    "Phi-3-mini-4k-instruct", 3_821_079_552, ["Phi-3-mini-4k-instruct", nil, "Phi-3", "4k-instruct", nil, "mini"], "Phi 3 Mini 4k Instruct"
  ),
  ("SmolLM2-135M", 134_515_008, ["SmolLM2-135M", nil, "SmolLM2", nil, nil, "135M"], "SmolLM2 135M"),
  (
    "Mixtral-8x7B-Instruct-v0.1", 46_702_792_704,
    ["Mixtral-8x7B-Instruct-v0.1", nil, "Mixtral", "Instruct", "v0.1", "8x7B"], "Mixtral 8x7B Instruct v0.1"
  ),
  ("gpt2-small-4_5B-q4_0", 4_500_000_000, ["gpt2-small-4_5B-q4_0", nil, "gpt2-small", nil, nil, "4.5B"], "Gpt2 Small 4_5B Q4_0"),
  ("x--1B", 1_000_000_000, ["x--1B", nil, "x", nil, nil, "1B"], "X 1B"),
]

@Test func modelNamesAreTakenApartAsTheConverterDoes() {
  for (id, weights, parts, title) in names {
    let name = ModelName(id, weightCount: weights)
    #expect([name.name, name.organization, name.basename, name.finetune, name.version, name.sizeLabel] == parts, "\(id)")
    #expect(name.name.map(ModelName.title) == title, "\(id)")
  }
}

@Test func sizeLabelsHaveTwoDigits() {
  let expected: [(Int, String)] = [
    (260032, "260K"), (1, "0.00K"), (999, "1.0K"), (999499, "999K"), (1_000_000, "1000K"), (5_900_000, "5.9M"), (99_999_999, "100M"),
    (1_235_814_400, "1.2B"), (13_015_864_320, "13B"), (1_500_000_000_000, "1.5T"),
  ]
  for (count, label) in expected { #expect(GeneralMetadata.sizeLabel(count) == label) }
}

/// Bits of the factors between the two ramps, computed with PyTorch in the same way as the converter.
@Test func ropeFactorsEqualThoseOfTheConverter() throws {
  var rope = Rope()
  rope.theta = 500000
  rope.dimension = 128
  rope.scaling = .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192)
  let values = try #require(RopeFactors.values(rope))
  #expect(values.count == 64)
  #expect(values[..<29].allSatisfy { $0 == 1 } && values[35...].allSatisfy { $0 == 8 })
  #expect(values[29..<35].map(\.bitPattern) == [0x3f9a_8ed5, 0x3fc6_d64a, 0x4001_af1d, 0x402c_732e, 0x406b_cace, 0x40a8_3c06])
  rope = Rope()
  rope.dimension = 64
  rope.scaling = .llama3(factor: 4, lowFrequency: 1, highFrequency: 4, originalContext: 256)
  #expect(RopeFactors.values(rope)?[9..<13].map(\.bitPattern) == [0x3fa7_9345, 0x3fdf_7718, 0x4014_ff71, 0x4046_b118])
  rope.scaling = .none
  #expect(RopeFactors.values(rope) == nil)
}
