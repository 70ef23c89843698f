import QuantCore
import TestSupport
import Testing

@testable import GGUF

private func tensor(_ name: String, _ shape: [Int]) -> PresetTensor {
  var tensor = PresetTensor(name: name, shape: shape, isQuantizable: true, id: nil)
  tensor.isQuantizable = GGUFFormat.quantizes(tensor, as: nil, model: nil)
  return tensor
}

/// One model of llama.cpp's snapshots; `Tests/Interop/make_mix_fixtures.py` describes the format.
private struct SnapshotModel {
  let name: String
  let configuration: Configuration
  var tensors: [PresetTensor] = []
  var expected: [(mix: String, base: String, exceptions: [String: String])] = []

  init(_ words: [String]) {
    name = words[1]
    var keys = KeyValues()
    keys["general.architecture"] = .string(words[2])
    for (key, word) in zip(["block_count", "attention.head_count", "attention.head_count_kv", "expert_count"], words.dropFirst(3)) {
      keys["\(words[2]).\(key)"] = .u32(UInt32(word) ?? 0)
    }
    configuration = GGUFFormat.configuration(keys)
  }

  mutating func add(_ words: [String]) {
    let columns = Int(words[1]) ?? 0
    for name in SnapshotModel.names(words[3]) {
      var added = tensor(name, words[2] == "1" ? [2, 2, columns] : [2, columns])
      added.configuration = configuration
      tensors.append(added)
    }
  }

  /// The names that `output:attn_v@0-3,7` abbreviates.
  static func names(_ text: String) -> [String] {
    text.split(separator: ":").flatMap { part -> [String] in
      let halves = part.split(separator: "@")
      guard halves.count == 2 else { return ["\(part).weight"] }
      return halves[1].split(separator: ",").flatMap { range -> [String] in
        let ends = range.split(separator: "-").compactMap { Int($0) }
        return (ends[0]...ends[ends.count - 1]).map { "blk.\($0).\(halves[0]).weight" }
      }
    }
  }

  static func load() -> [SnapshotModel] {
    let text = String(decoding: readFile(SharedData.fixture("mixes/llama-quantize.txt")), as: UTF8.self)
    var models: [SnapshotModel] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ").map { String($0) }
      if words[0] == "model" {
        models.append(SnapshotModel(words))
      } else if words[0] == "tensors" {
        models[models.count - 1].add(words)
      } else {
        var exceptions: [String: String] = [:]
        for word in words.dropFirst(2) {
          let pair = word.split(separator: "=").map { String($0) }
          for name in names(pair[1]) { exceptions[name] = pair[0] }
        }
        models[models.count - 1].expected.append((words[0], words[1], exceptions))
      }
    }
    return models
  }
}

@Test func mixesChooseTheTypesThatLlamaQuantizeChooses() throws {
  let models = SnapshotModel.load()
  #expect(models.count == 12)
  for model in models {
    #expect(model.expected.count == 33)
    for (name, type, exceptions) in model.expected {
      // Types with several rules are named after llama.cpp's rule.
      let base = type == "mxfp4" ? "mxfp4-ggml" : type
      let mix = try #require(Mix.named(name), "\(name)")
      #expect(mix.base.schemeName == base)
      // Deliberately not in the order in which llama.cpp counts.
      let tensors = Array(model.tensors.reversed())
      var wrong: [String] = []
      for (tensor, choice) in zip(tensors, mix.choose(tensors, model: nil)) where choice.scheme != exceptions[tensor.name] ?? base {
        wrong.append("\(tensor.name): \(choice.scheme ?? "none") instead of \(exceptions[tensor.name] ?? base)")
      }
      #expect(wrong.isEmpty, "\(model.name) \(name) \(wrong.prefix(4))")
    }
  }
}

@Test func everyMixHasANumberOfItsOwnAndIsKnownByNoOtherName() {
  #expect(Mix.table.count == 35)
  #expect(Set(Mix.table.map { $0.fileType }).count == Mix.table.count)
  let names = Mix.table.map { $0.name } + Mix.table.compactMap { $0.alias }
  #expect(Set(names).count == names.count)
  #expect(names.allSatisfy { GGUFMixes.preset(named: $0) != nil } && GGUFMixes.presetNames == Mix.table.map { $0.name })
}

@Test func everyMixIsOfferedAndHasTypesThatCanBeWritten() {
  #expect(GGUFMixes.presetNames.count == Mix.table.count)
  let kinds = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
  let blocks = kinds.flatMap { kind in (0..<4).map { tensor("blk.\($0).\(kind).weight", [64, 256]) } }
  let short = [256, 32, 16].map { tensor("blk.4.ffn_down.weight", [64, $0]) }
  for mix in Mix.table {
    let tensors = blocks + short + [tensor("token_embd.weight", [64, 256]), tensor("output.weight", [64, 256])]
    for scheme in Set(mix.choose(tensors, model: nil).compactMap { $0.scheme }) where !["f32", "f16", "bf16"].contains(scheme) {
      let block = GGUFBlocks.scheme(named: scheme, modelType: .f16) ?? GGUFGrids.scheme(named: scheme, modelType: .f16)
      #expect(block != nil, "\(mix.name): \(scheme)")
    }
  }
}

/// From llama-quantize --dry-run of a model with rows of 64 and 172.
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
  #expect(choices[1].note == "rows of 64 are not a multiple of 256, which q4_k needs")
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
  #expect(Mix.named("q3_k")?.name == "q3_k_m")
  #expect(Mix.named("iq4") == nil)
}

@Test func tensorsThatSomebodyDecidedOnAreNotCounted() throws {
  let preset = try #require(GGUFMixes.preset(named: "q4_k_s"))
  var tensors = (0..<6).map { tensor("blk.\($0).attn_v.weight", [256, 256]) }
  #expect(preset.choose(tensors, model: nil).map(\.scheme) == ["q5_k", "q5_k", "q5_k", "q5_k", "q4_k", "q4_k"])
  tensors[0].isDecided = true
  #expect(preset.choose(tensors, model: nil).dropFirst().map(\.scheme) == ["q5_k", "q5_k", "q5_k", "q5_k", "q4_k"])
}

@Test func aBlockNumberBeyondAllModelsIsNoBlockNumber() throws {
  let preset = try #require(GGUFMixes.preset(named: "q4_k_m"))
  let tensors = ["9223372036854775807", "4611686018427387904", "2147483647", "-9223372036854775808"].map {
    tensor("blk.\($0).ffn_down.weight", [256, 256])
  }
  #expect(preset.choose(tensors, model: nil).count == tensors.count)
}
