import FolderKit
import QuantCore
import Testing

@testable import CompressedTensors

/// Which layers clients take for unquantized, or for those of a scheme, tested with the names of checkpoints and those of the modules that transformers 5.24 makes of
/// them (`named_modules` of each class).
@Suite struct LayerPatternsTests {
  struct Folder: CustomTestStringConvertible {
    var model: String
    /// Names of layers in the checkpoint, and of their modules.
    var quantized: [(layer: String, module: String)]
    var unquantized: [(layer: String, module: String)]
    var expected: [String]

    var testDescription: String { model }
  }

  static let folders = [
    Folder(
      model: "LLaVA",
      quantized: [("language_model.model.layers.0.self_attn.q_proj", "model.language_model.layers.0.self_attn.q_proj")],
      unquantized: [
        ("vision_tower.vision_model.encoder.layers.0.self_attn.q_proj", "model.vision_tower.encoder.layers.0.self_attn.q_proj"),
        ("vision_tower.vision_model.encoder.layers.0.mlp.fc1", "model.vision_tower.encoder.layers.0.mlp.fc1"),
        ("multi_modal_projector.linear_1", "model.multi_modal_projector.linear_1"), ("language_model.lm_head", "lm_head"),
      ],
      expected: [#"re:(.*\.)?vision_tower\..*"#, #"re:(.*\.)?multi_modal_projector\..*"#, #"re:(.*\.)?lm_head$"#]),
    Folder(
      model: "Qwen2.5-VL", quantized: [("model.layers.0.mlp.gate_proj", "model.language_model.layers.0.mlp.gate_proj")],
      unquantized: [
        ("visual.blocks.0.mlp.gate_proj", "model.visual.blocks.0.mlp.gate_proj"), ("visual.merger.mlp.0", "model.visual.merger.mlp.0"),
        ("lm_head", "lm_head"),
      ],
      expected: [#"re:(.*\.)?visual\..*"#, "lm_head"]),
    Folder(
      model: "PhiMoE",
      quantized: [
        ("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
        ("model.layers.0.block_sparse_moe.experts.0.w1", "model.layers.0.mlp.experts"),
      ],
      unquantized: [("model.layers.0.block_sparse_moe.gate", "model.layers.0.mlp.router"), ("lm_head", "lm_head")],
      expected: [#"re:(.*\.)?(gate|router)$"#, "lm_head"]),
    // Rows that no group divides.
    Folder(
      model: "Mistral 4",
      quantized: [("language_model.model.layers.0.self_attn.q_a_proj", "model.language_model.layers.0.self_attn.q_a_proj")],
      unquantized: [
        ("language_model.model.layers.0.self_attn.q_b_proj", "model.language_model.layers.0.self_attn.q_b_proj"),
        ("language_model.model.layers.1.self_attn.q_b_proj", "model.language_model.layers.1.self_attn.q_b_proj"),
      ],
      expected: [#"re:(.*\.)?q_b_proj$"#]),
    // The only layer of a block, which the user kept, in a model whose prefix changes.
    Folder(
      model: "Gemma 3",
      quantized: [
        ("language_model.model.layers.1.mlp.down_proj", "model.language_model.layers.1.mlp.down_proj"),
        ("language_model.model.layers.10.mlp.down_proj", "model.language_model.layers.10.mlp.down_proj"),
      ],
      unquantized: [("language_model.model.layers.0.mlp.down_proj", "model.language_model.layers.0.mlp.down_proj")],
      expected: [#"re:(.*\.)?layers\.0\..*"#]),
    // Blocks of the same number in two towers of one kind.
    Folder(
      model: "T5", quantized: [("decoder.block.0.layer.0.q", "decoder.block.0.layer.0.q")],
      unquantized: [("encoder.block.0.layer.0.q", "encoder.block.0.layer.0.q")], expected: [#"re:(.*\.)?encoder\..*"#]),
  ]

  /// Entries as a configuration of compressed-tensors spells them.
  private func spelled(_ layers: [String], besides others: [String]) -> [String] {
    LayerPatterns(besides: others).entries(for: layers).map { entry in
      switch entry {
      case .name(let name): name
      case .expression(let expression): "re:" + expression
      }
    }
  }

  @Test(arguments: folders) func patternsFitTheNamesOfBoth(_ folder: Folder) throws {
    let entries = spelled(folder.unquantized.map(\.layer), besides: folder.quantized.map(\.layer))
    #expect(entries == folder.expected)
    let groups = try #require(
      try ConfigGroups(
        .object([
          .init(
            "config_groups",
            .object([
              .init(
                "group_0",
                .object([
                  .init("targets", .array([.string("Linear")])),
                  .init("weights", .object([.init("num_bits", .int(4)), .init("strategy", .string("channel"))])),
                ]))
            ])), .init("format", .string(PackQuantized.id)), .init("ignore", .array(entries.map { .string($0) })),
        ])))
    for (layer, module) in folder.quantized { #expect(!groups.isIgnored(layer) && !groups.isIgnored(module), "\(layer)") }
    for (layer, module) in folder.unquantized { #expect(groups.isIgnored(layer) && groups.isIgnored(module), "\(layer)") }
  }

  /// Patterns begin at a part of a name: a quantized `up_gate` is no `gate`.
  @Test func patternsMatchWholeParts() throws {
    let entries = spelled(["layers.0.mlp.gate"], besides: ["layers.0.mlp.up_gate"])
    #expect(entries == [#"re:(.*\.)?(gate|router)$"#])
    let pattern = try #require(NamePattern(String(entries[0].dropFirst("re:".count))))
    #expect(pattern.matches("model.layers.0.mlp.gate") && pattern.matches("gate") && !pattern.matches("layers.0.mlp.up_gate"))
  }

  /// One run of parts of a name may be part of another's.
  @Test(arguments: [
    (["a.layers.0.mlp.down"], ["a.layers.1.mlp.down", "a.layers.0.mlp.up"], [#"(.*\.)?layers\.0\.mlp\.down$"#]),
    (["a.layers.0.mlp.down", "a.layers.0.mlp.up"], ["a.layers.1.mlp.down", "a.layers.1.mlp.up"], [#"(.*\.)?layers\.0\..*"#]),
    (["m.layer.0.q"], ["m.block.0.layer.0.q", "m.layer.1.q"], [#"(.*\.)?m\.layer\.0\..*"#]),
    (["layers.0.experts.0.w1", "layers.0.experts.1.w2"], ["layers.0.attn.w1"], [#"(.*\.)?experts\..*"#]),
  ]) func patternsAreAsShortAsOthersAllow(_ layers: [String], _ others: [String], _ expected: [String]) throws {
    #expect(spelled(layers, besides: others) == expected.map { "re:" + $0 })
    let patterns = try expected.map { try #require(NamePattern($0)) }
    for layer in layers { #expect(patterns.contains { $0.matches(layer) && $0.matches("model." + layer) }) }
    for other in others { #expect(!patterns.contains { $0.matches(other) || $0.matches("model." + other) }) }
  }

  /// 60 blocks of 256 experts.
  @Test(.timeLimit(.minutes(1))) func manyLayersTakeLittleTime() {
    func names(_ blocks: Range<Int>) -> [String] {
      blocks.flatMap { block in
        (0..<256).flatMap { expert in ["up", "down", "gate"].map { "model.layers.\(block).mlp.experts.\(expert).\($0)" } }
      }
    }
    let entries = spelled(names(0..<30), besides: names(30..<60))
    #expect(entries == (0..<30).map { #"re:(.*\.)?layers\.\#($0)\..*"# })
  }
}
