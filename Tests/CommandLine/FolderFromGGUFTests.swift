import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Folders that are made from a GGUF alone.
@Suite struct FolderFromGGUFTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func convert(_ input: String, _ output: String, scheme: String) throws -> Checkpoint {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.scheme = scheme
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return try Opening(registry).open(request.output)
  }

  @Test func theFolderIsTheOneThatTheFileWasMadeFrom() throws {
    let opening = Opening(registry)
    let source = try opening.open(model)
    let stored = try convert(model, "model.gguf", scheme: "bf16")
    let result = try convert(stored.path, "folder", scheme: "bf16")
    #expect(Set(result.tensors.map(\.name)) == Set(source.tensors.map(\.name)))
    for tensor in source.tensors { #expect(result[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)") }

    let original = try opening.describe(source)
    let described = try opening.describe(result)
    #expect(described.family == "llama" && described.blocks == original.blocks && described.head == original.head)
    #expect(described.hiddenSize == original.hiddenSize && described.contextLength == original.contextLength)
    guard let configuration = result.configuration?.json, let original = source.configuration?.json else {
      Issue.record("no configuration")
      return
    }
    #expect(configuration["torch_dtype"] == .string("bfloat16"))
    for key in ["bos_token_id", "eos_token_id"] { #expect(configuration[key] == original[key]) }

    let text = try Files.readText(SharedData.fixture("text/evaluation.txt"))
    let own = try opening.tokenizer(for: result), theirs = try opening.tokenizer(for: source)
    #expect(own.encodeForModel(text) == theirs.encodeForModel(text))
    #expect(own.data.special == theirs.data.special)
  }

  @Test func weightsAreQuantizedAsFromTheFolder() throws {
    let stored = try convert(model, "model.gguf", scheme: "bf16")
    let fromFile = try convert(stored.path, "from-file", scheme: "w4a16"), fromFolder = try convert(model, "from-folder", scheme: "w4a16")
    #expect(fromFile.tensors.count == fromFolder.tensors.count)
    for tensor in fromFolder.tensors { #expect(fromFile[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)") }
    guard let json = fromFile.configuration?.json, let other = fromFolder.configuration?.json else {
      Issue.record("no configuration")
      return
    }
    #expect(json["quantization_config"] == other["quantization_config"])
  }

  /// llama.cpp's own NVFP4 has no scale of the tensor: in a folder that scale is 1, and no weight changes.
  @Test(arguments: ["nvfp4-pack-quantized", "modelopt-nvfp4"]) func blocksOfNVFP4BecomeGroups(_ packing: String) throws {
    let stored = try convert(model, "model.gguf", scheme: "bf16")
    var request = ConversionRequest(input: stored.path, output: folder.file("blocks.gguf"))
    request.scheme = "bf16"
    request.tensorRules = ["blk.*.weight=nvfp4-ggml", "*_norm.weight=f32"]
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    request = ConversionRequest(input: folder.file("blocks.gguf"), output: folder.file("groups"))
    request.scheme = "keep"
    request.packing = packing
    let report = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    #expect(report.tensors.contains { $0.scheme == "nvfp4" })
    let blocks = try Opening(registry).open(folder.file("blocks.gguf")), groups = try Opening(registry).open(folder.file("groups"))
    // Value, up and down matrices have no rotary pairs, so their rows keep their order.
    for (block, group) in [("attn_v", "self_attn.v_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")] {
      let moved = try #require(groups["model.layers.3.\(group).weight"])
      #expect(moved.storage.codes?.scheme is NVFP4Scheme)
      #expect(zip(moved.matrix().values, try #require(blocks["blk.3.\(block).weight"]).matrix().values).allSatisfy { $0 == $1 })
    }
  }

  @Test func aFolderOfAnotherTokenizerIsTakenWhereOneIsGiven() throws {
    let stored = try convert(model, "model.gguf", scheme: "q8_0")
    var request = ConversionRequest(input: stored.path, output: folder.file("folder"))
    request.scheme = "f16"
    request.tokenizerPath = model
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    #expect(readFile(folder.file("folder/tokenizer.json")) == readFile(model + "/tokenizer.json"))
  }
}
