import GGUF
import QuantCore
import TestSupport
import Testing

private func tensor(_ name: String, _ shape: [Int]) -> PresetTensor {
  var tensor = PresetTensor(name: name, shape: shape, isQuantizable: true, id: nil)
  tensor.isQuantizable = GGUFFormat.quantizes(tensor, as: nil, model: nil)
  return tensor
}

/// A decoder of the Llama kind with shapes as llama.cpp's snapshots give them.
private struct SnapshotModel {
  var name = ""
  var tensors: [PresetTensor] = []
  var expected: [(preset: String, base: String, exceptions: [String: String])] = []

  init(_ words: [Substring]) {
    let numbers = words.dropFirst(2).compactMap { Int($0) }
    let (embedding, feedForward, vocabulary) = (numbers[0], numbers[1], numbers[2])
    name = String(words[1])
    // Deliberately not in the order in which llama.cpp counts.
    for block in (0..<numbers[3]).reversed() {
      let prefix = "blk.\(block)."
      tensors += [
        tensor(prefix + "attn_norm.weight", [embedding]), tensor(prefix + "ffn_down.weight", [embedding, feedForward]),
        tensor(prefix + "ffn_gate.weight", [feedForward, embedding]), tensor(prefix + "ffn_up.weight", [feedForward, embedding]),
        tensor(prefix + "attn_q.weight", [numbers[4], embedding]), tensor(prefix + "attn_k.weight", [numbers[5], embedding]),
        tensor(prefix + "attn_v.weight", [numbers[5], embedding]), tensor(prefix + "attn_output.weight", [embedding, numbers[4]]),
      ]
    }
    tensors.append(tensor("token_embd.weight", [vocabulary, embedding]))
    if numbers[6] == 1 { tensors.append(tensor("output.weight", [vocabulary, embedding])) }
  }

  static func load() -> [SnapshotModel] {
    let text = String(decoding: readFile(SharedData.fixture("mixes/llama-quantize.txt")), as: UTF8.self)
    var models: [SnapshotModel] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      if words[0] == "model" {
        models.append(SnapshotModel(words))
      } else if !models.isEmpty {
        let exceptions = words.dropFirst(2).map { word in
          let pair = word.split(separator: "=")
          return (String(pair[0]), String(pair[1]))
        }
        models[models.count - 1].expected.append(
          (String(words[0]), String(words[1]), Dictionary(exceptions, uniquingKeysWith: { first, _ in first })))
      }
    }
    return models
  }
}

@Test func mixesChooseTheTypesThatLlamaQuantizeChooses() throws {
  let models = SnapshotModel.load()
  #expect(models.count == 4)
  for model in models {
    #expect(model.expected.count == 13)
    for (name, base, exceptions) in model.expected {
      let preset = try #require(GGUFMixes.preset(named: name))
      for (tensor, choice) in zip(model.tensors, preset.choose(model.tensors, model: nil)) {
        let expected = tensor.isQuantizable ? exceptions[tensor.name] ?? base : nil
        #expect(choice.scheme == expected, "\(model.name) \(name) \(tensor.name)")
      }
    }
  }
}

/// llama-quantize --dry-run of a model with rows of 64 and 172.
@Test func rowsThatNoBlockDividesFallBack() throws {
  let tensors = [
    tensor("token_embd.weight", [512, 64]), tensor("blk.0.attn_q.weight", [64, 64]), tensor("blk.0.ffn_down.weight", [64, 172]),
  ]
  let expected: [(String, [String?])] = [
    ("q4_k_m", ["q8_0", "q5_0", "f16"]), ("q5_k_s", ["q8_0", "q5_1", "f16"]), ("q6_k", ["q8_0", "q8_0", "f16"]),
    ("q8_0", ["q8_0", "q8_0", "f16"]), ("f16", ["f16", "f16", "f16"]),
  ]
  for (name, schemes) in expected {
    let choices = try #require(GGUFMixes.preset(named: name)).choose(tensors, model: nil)
    #expect(choices.map(\.scheme) == schemes, "\(name)")
  }
  let choices = try #require(GGUFMixes.preset(named: "q4_k_m")).choose(tensors, model: nil)
  #expect(choices[1].note == "rows of 64 are no multiple of 256, which q4_k needs")
}

@Test func modelsOfEightExpertsKeepKeysAndValuesAtEightBits() throws {
  let tensors = [
    tensor("blk.0.attn_k.weight", [256, 1024]), tensor("blk.0.attn_v.weight", [256, 1024]),
    tensor("blk.0.attn_output.weight", [1024, 1024]), tensor("blk.0.ffn_down_exps.weight", [8, 1024, 2048]),
    tensor("blk.0.ffn_gate_inp.weight", [8, 1024]), tensor("output.weight", [512, 1024]),
  ]
  let choices = try #require(GGUFMixes.preset(named: "q4_k_m")).choose(tensors, model: nil)
  #expect(choices.map(\.scheme) == ["q8_0", "q8_0", "q5_k", "q6_k", nil, "q6_k"])
}

@Test func shortNamesStandForTheMediumMix() {
  #expect(GGUFMixes.preset(named: "q4_k")?.name == "q4_k_m")
  #expect(GGUFMixes.preset(named: "q5_k")?.name == "q5_k_m")
  #expect(GGUFMixes.preset(named: "q3_k") == nil)
}

@Test func aBlockNumberBeyondAllModelsIsNoBlockNumber() throws {
  let preset = try #require(GGUFMixes.preset(named: "q4_k_m"))
  let tensors = ["9223372036854775807", "4611686018427387904", "2147483647", "-9223372036854775808"].map {
    tensor("blk.\($0).ffn_down.weight", [256, 256])
  }
  #expect(preset.choose(tensors, model: nil).count == tensors.count)
}
