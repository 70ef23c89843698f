import QuantCore
import Testing
import ZeroQuant

@Suite struct ZeroQuantTests {
  private let workspace = tinyWorkspace()

  private func choices(_ name: String, columns: Int = 128, model: ModelDescription?) throws -> [String: PresetChoice] {
    let preset = try #require(ZeroQuantPresets.preset(named: name))
    let layers: [(String, Layer)] = [("self_attn.q_proj", .query), ("self_attn.o_proj", .attentionOutput), ("mlp.up_proj", .up)]
    let tensors = layers.map { name, layer in
      PresetTensor(
        name: "model.layers.0.\(name).weight", shape: [8, columns], isQuantizable: true, id: model.map { _ in TensorID(layer, block: 0) })
    }
    let outside = PresetTensor(name: "lm_head.weight", shape: [8, columns], isQuantizable: true, id: model.map { _ in TensorID(.output) })
    return Dictionary(uniqueKeysWithValues: zip(layers.map(\.0) + ["head"], preset.choose(tensors + [outside], model: model)))
  }

  @Test func attentionHasEightBitsAndFeedForwardGroupsOfFour() throws {
    for model in [workspace.model, nil] {
      let mixed = try choices("zeroquant-w4a8", model: model)
      let eight = PresetChoice(scheme: "int8-channel", activations: .int8Token)
      #expect(mixed["self_attn.q_proj"] == eight && mixed["self_attn.o_proj"] == eight)
      #expect(mixed["mlp.up_proj"] == PresetChoice(scheme: "int4-g128", activations: .int8Token))
      #expect(mixed["head"] == PresetChoice(scheme: nil))
      #expect(try choices("zeroquant-w4a16", model: model).values.allSatisfy { $0.activations == nil })
    }
  }

  @Test func rowsThatGroupsDoNotDivideKeepEightBits() throws {
    let up = try choices("zeroquant-w4a8", columns: 96, model: workspace.model)["mlp.up_proj"]
    #expect(up?.scheme == "int8-channel" && up?.activations == .int8Token && up?.note != nil)
  }

  /// ZeroQuant-FP's formats: FP4 in what clients know as MXFP4, or FP8, and inputs in FP8 per token.
  @Test func floatsAreTheSameForAllLayersOfBlocks() throws {
    for (name, scheme) in [("zeroquant-fp-w4a8", "e2m1-g32-e8m0"), ("zeroquant-fp-w8a8", "fp8-g128")] {
      for model in [workspace.model, nil] {
        let choices = try choices(name, model: model)
        let expected = PresetChoice(scheme: scheme, activations: .fp8Token)
        #expect(choices["self_attn.q_proj"] == expected && choices["mlp.up_proj"] == expected)
        #expect(choices["head"] == PresetChoice(scheme: nil))
      }
      let short = try self.choices(name, columns: 80, model: nil)["mlp.up_proj"]
      #expect(short?.scheme == nil && short?.note != nil)
    }
  }

  @Test func theMethodBringsItsChoice() {
    #expect(ZeroQuant.defaultScheme.map { ZeroQuantPresets.presetNames.contains($0) } == true)
    #expect(ZeroQuant.requirements.isEmpty)
  }
}
