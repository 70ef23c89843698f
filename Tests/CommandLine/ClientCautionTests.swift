import Clients
import FamilyKit
import QConvertKit
import QuantCore
import TestSupport
import Testing

/// What clients are known to do with folders that they load as a whole. Each fact was found by loading such a folder with transformers 5.24
/// (`Tests/Interop/checks/renamed.py`).
@Suite struct ClientCautionTests {
  private let registry: Registry
  private let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  /// A folder with one layer of an attention and the layers of two experts.
  private func stored(
    _ scheme: String, _ packing: String, experts: String? = nil, type: String = "mixtral", stacks: Bool = false
  ) throws -> ClientFolder {
    var folder = ClientFolder(.huggingFace(.object([.init("model_type", .string(type))])))
    func add(_ layer: String, _ scheme: String) throws {
      let grid = try registry.scheme(scheme, modelType: .bf16).grid
      folder.add(layer + ".weight", shape: [256, 256], id: nil, (packing, grid, nil), model: nil)
    }
    try add("model.layers.0.self_attn.q_proj", scheme)
    for expert in 0..<2 where experts != nil { try add("model.layers.0.mlp.experts.\(expert).w1", experts ?? scheme) }
    folder.hasPlainStacks = stacks
    return folder
  }

  private func obstacle(_ folder: ClientFolder, version: ClientVersion = "5.24") -> String? {
    Transformers.obstacle(folder, version: version)?.reason
  }

  @Test(arguments: [
    ("int4-g128", "pack-quantized"), ("int8-g128", "pack-quantized"), ("fp8-channel", "float-quantized"), ("fp8-tensor", "float-quantized"),
    ("mxfp4", "mxfp4-pack-quantized"), ("fp8-block128", "fp8-block"),
  ]) func expertsThatAreDecodedAreAccepted(_ scheme: String, _ packing: String) throws {
    let folder = try stored(scheme, packing, experts: scheme)
    #expect(folder.quantized.count(where: \.isExpert) == 2)
    #expect(obstacle(folder) == nil && Transformers.caution(folder, version: "5.24") == nil)
  }

  @Test(arguments: [
    ("int4-g128", "gptq", "random"), ("int4-g128-asym", "awq", "random"), ("int8-channel", "int-quantized", "fails"),
    ("mxfp8", "mxfp8-quantized", "fails"), ("fp8-block128", "float-quantized", "fails"), ("int4-g128-asym", "pack-quantized", "fails"),
    ("nvfp4", "nvfp4-pack-quantized", "mean nothing"),
  ]) func expertsThatAreLostAreNamed(_ scheme: String, _ packing: String, _ word: String) throws {
    let folder = try stored(scheme, packing, experts: scheme)
    #expect(obstacle(folder)?.contains(word) == true)
    #expect(Transformers.caution(folder, version: "5.24")?.contains(word) == true)
    // Its fourth version has a layer for each expert, and so has Llama 4.
    #expect(Transformers.caution(folder, version: "4.57") == nil)
    #expect(obstacle(try stored(scheme, packing, experts: scheme, type: "llama4_text")) == nil)
    #expect(obstacle(try stored(scheme, packing)) == nil)
  }

  @Test func expertsOfSeveralSchemesAreDecodedByOne() throws {
    #expect(obstacle(try stored("int8-g128", "pack-quantized", experts: "int4-g128")) == nil)
    var folder = try stored("int4-g128", "pack-quantized", experts: "int4-g128")
    folder.quantized[2].grid =
      folder.quantized[2].grid.codeBits == 4 ? try registry.scheme("int8-g128", modelType: .bf16).grid : folder.quantized[2].grid
    #expect(obstacle(folder)?.contains("one scheme") == true)
  }

  @Test func classesThatSetTheirWeightsNeedAnOption() throws {
    let falcon = try stored("int4-g128", "pack-quantized", type: "falcon")
    #expect(obstacle(falcon) == nil)
    #expect(Transformers.caution(falcon, version: "5.24")?.contains("dequantize=True") == true)
    #expect(Transformers.caution(try stored("fp8-channel", "float-quantized", type: "falcon"), version: "5.24") == nil)
    let zeroPoints = try stored("int4-g128-asym", "pack-quantized", type: "llama")
    #expect(obstacle(zeroPoints) == nil)
    #expect(Transformers.caution(zeroPoints, version: "5.24")?.contains("zero points") == true)
    #expect(Transformers.caution(zeroPoints, version: "4.57") == nil)
  }

  @Test(arguments: [("gte", false, "fused"), ("kimi_linear", false, "convolutions"), ("llama4", true, "stacks")])
  func classesThatCannotLoadCodesAreNamed(_ type: String, _ stacks: Bool, _ word: String) throws {
    let folder = try stored("int4-g128", "pack-quantized", type: type, stacks: stacks)
    #expect(obstacle(folder)?.contains(word) == true)
    #expect(Transformers.caution(folder, version: "5.24") == obstacle(folder))
    #expect(obstacle(ClientFolder(.huggingFace(.object([.init("model_type", .string(type))])))) == nil)
  }

  /// Whoever asks for no client hears of it; whoever asks for this one is refused; `inspect` does not claim that it loads the output.
  @Test func aConversionSaysSo() throws {
    let model = try RandomModel.copy("mixtral", into: folder)
    var request = ConversionRequest(input: model, output: folder.file("out"))
    (request.scheme, request.threads, request.packing) = ("int8-channel", 2, "gptq")
    let warned = try Planner(registry).plan(request)
    #expect(warned.warnings.contains("transformers 5.24 leaves experts random whose codes are packed as 'gptq'"))
    _ = try Converter(registry).run(warned, progress: SilentProgress())
    let written = try Opening(registry).open(folder.file("out"))
    let found = ClientLoading.obstacle(of: Transformers.self, version: "5.24", to: written, nil)
    #expect(found?.reason == "leaves experts random whose codes are packed as 'gptq'")
    request.client = "transformers"
    request.output = folder.file("refused")
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request) }
    #expect(failure?.id == "client.refuses")
  }
}
