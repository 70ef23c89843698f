import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Towers of a folder in a GGUF of their own. Values are those of the folder, at places that the tests work out themselves.
@Suite struct TowerTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model: String

  init() throws {
    registry = try Registry(QConvert.builtIn)
    model = try RandomModel.copy("qwen2.5-vl", into: folder)
    writeFile(model + "/preprocessor_config.json", Array(#"{"image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 3]}"#.utf8))
  }

  private func plan(_ output: String = "towers.gguf", _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> ConversionPlan {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.writesTowers = true
    request.threads = 2
    change(&request)
    return try Planner(registry).plan(request)
  }

  private func converted(_ scheme: String?) throws -> (source: Checkpoint, made: Checkpoint) {
    let plan = try plan {
      $0.scheme = scheme
      $0.force = true
    }
    try Converter(registry).run(plan, progress: SilentProgress())
    return (plan.source, try Opening(registry).open(folder.file("towers.gguf")))
  }

  private func values(_ checkpoint: Checkpoint, _ name: String) throws -> [Float] {
    try #require(checkpoint[name], "\(name)").matrix().values
  }

  @Test func theFileIsComparedWithTheFolderThatItIsFrom() throws {
    let exact = try converted("f32")
    let opening = Opening(registry)
    #expect(try Comparison(exact.source, exact.made, opening: opening, threads: 2).holds)
    #expect(try Comparison(exact.made, exact.source, opening: opening, threads: 2).holds)
    let found = try Comparison(exact.source, converted("q8_0").made, opening: opening, threads: 2)
    #expect(!found.holds && found.tensors.contains { $0.verdict == .different && ($0.relativeError ?? 1) < 0.02 })
    #expect(!found.tensors.contains { $0.verdict == .missing })
  }

  @Test func theFileIsLabelledAsTowersAndHasNoTokenizer() throws {
    let metadata = try converted(nil).made.metadata
    #expect(metadata["general.architecture"] == .string("clip") && metadata["general.type"] == .string("mmproj"))
    #expect(metadata["clip.projector_type"] == .string("qwen2.5vl_merger") && metadata["clip.use_silu"] == .bool(true))
    #expect(metadata["clip.vision.image_mean"] == .f32s([0.5, 0.25, 0]) && metadata["clip.vision.image_std"] == .f32s([1, 2, 3]))
    #expect(metadata["general.file_type"] == .u32(1))
    #expect(!metadata.entries.contains { $0.key.hasPrefix("tokenizer.") })
  }

  @Test func aConvolutionOverPairsBecomesTwo() throws {
    let (source, made) = try converted("f32")
    let both = try values(source, "model.visual.patch_embed.proj.weight")
    let size = 14 * 14
    for (image, name) in ["v.patch_embd.weight", "v.patch_embd.weight.1"].enumerated() {
      let own = try values(made, name)
      #expect(made[name]?.shape == [32, 3, 14, 14])
      var expected: [Float] = []
      for kernel in 0..<32 * 3 {
        let start = (kernel * 2 + image) * size
        expected += both[start..<start + size]
      }
      #expect(own == expected)
    }
  }

  @Test func aFusedLayerIsDividedWithItsBias() throws {
    let (source, made) = try converted("f32")
    for part in ["weight", "bias"] {
      let fused = try values(source, "model.visual.blocks.0.attn.qkv.\(part)")
      let divided = try ["q", "k", "v"].flatMap { try values(made, "v.blk.0.attn_\($0).\(part)") }
      #expect(divided == fused)
    }
  }

  /// Of the types that matrices get, a kernel takes only two.
  @Test(arguments: [("f16", "f16"), ("f32", "f32"), ("bf16", "f32"), ("q8_0", "f32")]) func aKernelKeepsAFloat(
    _ asked: String, _ kernel: String
  )
    throws
  {
    let tensors = try plan { $0.scheme = asked }.tensors
    #expect(tensors.first { $0.name == "v.patch_embd.weight" }?.scheme.name == kernel)
    #expect(tensors.first { $0.name == "mm.0.weight" }?.scheme.name == asked)
    #expect(tensors.first { $0.name == "v.blk.0.ln1.weight" }?.scheme.name == "f32")
  }

  @Test func whatCannotBeDoneIsRefused() throws {
    let refused: [(id: String, output: String, change: (inout ConversionRequest) -> Void)] = [
      ("tower.format", "out", { _ in }),
      ("tower.setting", "a.gguf", { $0.methods = [(id: "awq", options: [:])] }),
      ("tower.setting", "a.gguf", { $0.droppedBlocks = [0] }),
      ("tower.setting", "a.gguf", { $0.shardSize = 1_000_000 }),
    ]
    for (id, output, change) in refused {
      let failure = #expect(throws: Failure.self) { try plan(output, change) }
      #expect(failure?.id == id && failure?.kind == .usage)
    }
    writeFile(model + "/preprocessor_config.json", Array("{}".utf8))
    let unsaid = #expect(throws: Failure.self) { try plan() }
    #expect(unsaid?.id == "tower.processor" && unsaid?.kind == .data)
  }

  @Test func aClassWithoutKnownTowersIsNamed() throws {
    let text = try RandomModel.copy("qwen2", into: folder)
    let failure = #expect(throws: Failure.self) { try plan { $0.input = text } }
    #expect(failure?.id == "tower.unknown" && failure?.message.contains("Qwen2ForCausalLM") == true)
  }

  @Test func theLanguageModelSaysHowItsTowersAreWritten() throws {
    let warnings = try plan("model.gguf") { $0.writesTowers = false }.warnings
    let said = try #require(warnings.first { $0.contains("are left out") })
    #expect(said.hasSuffix("'qconvert \(model) \(folder.file("mmproj-model.gguf")) --mmproj' writes them"))
  }
}
