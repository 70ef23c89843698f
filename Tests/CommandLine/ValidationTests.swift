import QConvertKit
import QuantCore
import TestSupport
import Testing

/// What `validate` finds in checkpoints that can be opened: problems with tensors of the model, and with values.
@Suite struct ValidationTests {
  private let checked: CheckedFolder

  init() throws { checked = try CheckedFolder() }

  @Test(arguments: [
    "int4-g32", "int4-g128-asym", "int8-channel", "fp8-channel", "fp8-block128", "fp8-tensor", "nvfp4", "mxfp4", "mxfp8", "nf4", "llm-int8",
    "bf16",
  ])
  func soundFoldersHaveNoFindings(scheme: String) throws {
    #expect(try checked.findings(checked.made(scheme)).isEmpty)
  }

  @Test(arguments: ["q4_k_m", "q4_0", "q8_0", "f16"]) func soundFilesHaveNoFindings(scheme: String) throws {
    #expect(try checked.findings(checked.made(scheme, output: "sound.gguf")).isEmpty)
  }

  @Test(arguments: [
    ("gptq", "int4-g128"), ("gptq", "int3-g128"), ("gptq_v2", "int4-g128-asym"), ("awq", "int4-g128-asym"), ("fp8", "fp8-tensor"),
    ("fp8-block", "fp8-block128"),
  ]) func soundFoldersOfOtherPackingsHaveNoFindings(packing: String, scheme: String) throws {
    #expect(try checked.findings(checked.made(scheme, packing: packing)).isEmpty)
  }

  // MARK: Tensors of the model

  @Test func tensorsThatTheModelLacksOrDoesNotKnowAreNamed() throws {
    var folder = try EditedFolder(checked.made("bf16"))
    folder.remove("input_layernorm.weight")
    folder.change("mlp.up_proj.weight") { $0.name = "model.layers.0.mlp.upper.weight" }
    folder.save()
    let found = try checked.findings(folder.path)
    #expect(
      found.filter { $0.id == "model.tensor-missing" }.map(\.tensor) == [
        "model.layers.0.input_layernorm.weight", "model.layers.0.mlp.up_proj.weight",
      ])
    #expect(found.filter { $0.id == "model.tensor-unused" }.map(\.tensor) == ["model.layers.0.mlp.upper.weight"])
  }

  @Test func shapesThatTheConfigurationDoesNotAskForAreNamed() throws {
    var folder = try EditedFolder(checked.made("int4-g32"))
    folder.set("intermediate_size", to: .int(512))
    folder.save()
    let found = try checked.findings(folder.path).filter { $0.id == "model.tensor-shape" }
    #expect(found.map(\.tensor) == ["gate", "up", "down"].map { "model.layers.0.mlp.\($0)_proj.weight" })
    #expect(found.first?.message.contains("[512, 256]") == true)
  }

  @Test func headsThatDifferFromATiedEmbeddingAreNamed() throws {
    var folder = try EditedFolder(checked.made("bf16"))
    folder.set("tie_word_embeddings", to: .bool(true))
    folder.save()
    #expect(try checked.ids(folder.path) == ["model.tied-output"])
    folder.set("tie_word_embeddings", to: .bool(false))
    folder.remove("lm_head.weight")
    folder.save()
    #expect(try checked.findings(folder.path).map { [$0.id, $0.tensor] } == [["model.tensor-missing", "lm_head.weight"]])
  }

  @Test func unknownArchitecturesAreSaid() throws {
    var folder = try EditedFolder(checked.made("bf16"))
    folder.set("architectures", to: .array([.string("NobodyForCausalLM")]))
    folder.save()
    let found = try checked.findings(folder.path)
    #expect(found.map(\.id) == ["model.unknown"] && found[0].severity == .warning && found[0].message.contains("NobodyForCausalLM"))
  }

  // MARK: Numbers

  private func first(_ bytes: [UInt8]) -> (inout EditedFolder.Stored) -> Void { { $0.bytes.replaceSubrange(0..<bytes.count, with: bytes) } }

  @Test(
    arguments: [
      ("scale.nonfinite", [0xc0, 0x7f]), ("scale.nonfinite", [0x80, 0x7f]), ("scale.zero", [0, 0]), ("scale.negative", [0x80, 0xbc]),
    ] as [(String, [UInt8])])
  func invalidScalesAreNamed(id: String, bytes: [UInt8]) throws {
    var folder = try EditedFolder(checked.made("int4-g32-asym"))
    folder.change("layers.0.mlp.up_proj.weight_scale", first(bytes))
    folder.save()
    let found = try checked.findings(folder.path).first { $0.id == id }
    #expect(found?.tensor == "model.layers.0.mlp.up_proj.weight" && found?.severity == (id == "scale.negative" ? .warning : .error))
    #expect(found?.message.hasPrefix("1 of ") == true)
  }

  /// Signed codes reach one step further on one side, and the sign of the scale says on which.
  @Test func scalesOfSignedCodesMayBeNegative() throws {
    var folder = try EditedFolder(checked.made("int4-g32"))
    folder.change("layers.0.mlp.up_proj.weight_scale", first([0x80, 0xbc]))
    folder.save()
    #expect(try checked.ids(folder.path).isEmpty)
  }

  /// A group of zeros needs no scale.
  @Test func scalesOfNothingMayBeZero() throws {
    var folder = try EditedFolder(checked.made("nf4"))
    folder.change("mlp.up_proj.weight.absmax") { $0.bytes.replaceSubrange(0..<4, with: [0, 0, 0, 0]) }
    folder.save()
    #expect(try checked.ids(folder.path) == ["scale.zero"])
    // The code of 0 is 7.
    folder.change("mlp.up_proj.weight") { $0.bytes.replaceSubrange(0..<32, with: [UInt8](repeating: 0x77, count: 32)) }
    folder.save()
    #expect(try checked.ids(folder.path).isEmpty)
  }

  /// Reciprocals of the scales, as in a file whose `weight_scale_inv` is what the name says.
  @Test(arguments: ["fp8-channel", "fp8-block128", "int8-channel"]) func reciprocalsOfScalesAreNoticed(scheme: String) throws {
    var folder = try EditedFolder(checked.made(scheme, packing: scheme == "fp8-block128" ? "fp8-block" : nil))
    folder.change(scheme == "fp8-block128" ? ".q_proj.weight_scale_inv" : ".q_proj.weight_scale") { tensor in
      let type: ElementType = tensor.type == "F32" ? .f32 : .bf16
      let scales = CheckpointTensor(name: "", shape: tensor.shape, storage: PlainStorage(type, ByteView(tensor.bytes))).matrix().values
      tensor.bytes = NumberConversion.bytes(of: scales.map { 1 / $0 }, as: type)
    }
    folder.save()
    let found = try checked.findings(folder.path)
    #expect(found.map { [$0.id, $0.tensor] } == [["scale.range", "model.layers.0.self_attn.q_proj.weight"]])
  }

  @Test func codesThatTheirBitsCannotHoldAreNamed() throws {
    var folder = try EditedFolder(checked.made("int8-channel", activations: "int8-token"))
    folder.set("quantization_config", "config_groups", "group_0", "weights", "num_bits", to: .int(4))
    folder.save()
    let found = try checked.findings(folder.path).filter { $0.id == "code.range" }
    #expect(found.count == 7 && found[0].severity == .error && found[0].message.hasSuffix("codes are out of range for their bits"))
  }

  /// A byte can hold zero points that are not 4-bit codes.
  @Test func zeroPointsOutsideTheRangeOfCodesAreNamed() throws {
    var folder = try EditedFolder(checked.made("int4-channel", activations: "int8-token"))
    for weight in folder.tensors where weight.type == "I8" {
      let points = [UInt8](repeating: 0, count: weight.shape[0])
      folder.tensors.append(.init(name: weight.name + "_zero_point", type: "I8", shape: [weight.shape[0], 1], bytes: points))
    }
    folder.set("quantization_config", "config_groups", "group_0", "weights", "symmetric", to: .bool(false))
    folder.save()
    #expect(try checked.ids(folder.path).isEmpty)
    // 7 is the highest code, and -8 the lowest.
    folder.change("mlp.up_proj.weight_zero_point", first([7, 0xf8, 8, 0xf7]))
    folder.save()
    let found = try checked.findings(folder.path)
    #expect(found.map { [$0.id, $0.tensor] } == [["zero-point.range", "model.layers.0.mlp.up_proj.weight"]])
    #expect(found.first?.severity == .error && found.first?.message.hasPrefix("2 of ") == true)
  }

  @Test func valuesThatAreNotFiniteAreNamed() throws {
    var folder = try EditedFolder(checked.made("bf16"))
    folder.change("model.norm.weight", first([0xc0, 0x7f]))
    folder.save()
    #expect(try checked.ids(folder.path) == ["data.nonfinite"])
    folder.change("model.norm.weight", first([0x80, 0x3f]))
    folder.change("mlp.up_proj.weight") { $0.bytes = [UInt8](repeating: 0, count: $0.bytes.count) }
    folder.save()
    #expect(try checked.ids(folder.path) == ["data.all-zero"])
  }
}

/// Folders of a short model in any packing, and the findings in them.
struct CheckedFolder {
  let registry: Registry
  private let folder = TemporaryFolder()
  private let model: String

  init() throws {
    registry = try Registry(QConvert.builtIn)
    model = try ShortModel.make(blocks: 1, in: folder, Opening(registry).open(SharedData.fixture("models/tiny-llama")))
  }

  func made(_ scheme: String, packing: String? = nil, activations: String? = nil, output: String = "made") throws -> String {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.scheme = scheme
    request.packing = packing
    request.activations = activations
    request.tensorRules = output == "made" ? ["lm_head.weight=bf16", "model.embed_tokens.weight=bf16"] : []
    request.calibration.samples = 1
    request.calibration.context = 32
    request.threads = 2
    try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return folder.file(output)
  }

  func findings(_ path: String) throws -> [Finding] {
    let opening = Opening(registry)
    return Validation(try opening.open(path), opening: opening, threads: 2).findings
  }

  func ids(_ path: String) throws -> [String] { try findings(path).map(\.id) }

  /// The findings in a folder of this scheme and packing after a change, or the error that prevents opening it.
  func ids(_ scheme: String, packing: String? = nil, _ change: (inout EditedFolder) -> Void) throws -> [String] {
    var edited = try EditedFolder(made(scheme, packing: packing))
    change(&edited)
    edited.save()
    do { return try ids(edited.path) } catch { return [(error as? Failure)?.id ?? "\(error)"] }
  }
}
