import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

/// Quantized folders that are broken in one way each: the command says what is wrong and where, and writes nothing.
@Suite struct DamagedContainerTests {
  private let checked: CheckedFolder
  private let outputs = TemporaryFolder()

  init() throws { checked = try CheckedFolder() }

  private struct Answer {
    var code: Int32
    var id: String?
    var tensor: String?
    var file: String?
    var message: String
    var remedy: String?
  }

  /// The answer of a conversion of a folder. A failed conversion leaves nothing behind.
  private func answer(_ path: String, _ arguments: [String] = ["--scheme", "bf16"]) throws -> Answer {
    let capture = Capture()
    let code = QConvert.run(
      [path, outputs.file("out"), "--json", "--progress", "none"] + arguments, plugins: QConvert.builtIn, console: capture.console())
    let error = try JSON.parse(ByteView(Array(capture.output.utf8)))["error"]
    if code != 0 { #expect(try Files.list(outputs.path).isEmpty) }
    return Answer(
      code: code, id: error?["id"]?.stringValue, tensor: error?["tensor"]?.stringValue, file: error?["file"]?.stringValue,
      message: error?["message"]?.stringValue ?? "", remedy: error?["remedy"]?.stringValue)
  }

  private func answer(_ scheme: String, packing: String?, _ change: (inout EditedFolder) -> Void) throws -> Answer {
    var folder = try EditedFolder(checked.made(scheme, packing: packing))
    change(&folder)
    folder.save()
    return try answer(folder.path)
  }

  private static let weight = "model.layers.0.mlp.up_proj.weight"

  /// Every part of a weight in every packing.
  static let parts: [(scheme: String, packing: String, part: String, missing: String, misshapen: String)] = [
    ("int4-g128", "gptq", ".qweight", "packed.parts", "gptq.shape"),
    ("int4-g128", "gptq", ".qzeros", "packed.parts", "gptq.zero-points"),
    ("int4-g128", "gptq", ".scales", "packed.parts", "gptq.scales"),
    ("int4-g128-asym", "awq", ".qweight", "packed.parts", "awq.group-size"),
    ("int4-g128-asym", "awq", ".qzeros", "packed.parts", "awq.zero-points"),
    ("int4-g128-asym", "awq", ".scales", "packed.parts", "awq.scales"),
    ("int4-g128-asym", "pack-quantized", ".weight_packed", "ct.parts", "ct.shape"),
    ("int4-g128-asym", "pack-quantized", ".weight_scale", "ct.parts", "ct.scales"),
    ("int4-g128-asym", "pack-quantized", ".weight_shape", "ct.shape", "ct.shape"),
    ("int4-g128-asym", "pack-quantized", ".weight_zero_point", "ct.zero-points", "ct.zero-points"),
    ("fp8-channel", "float-quantized", ".weight", "ct.parts", "float.scales"),
    ("fp8-channel", "float-quantized", ".weight_scale", "ct.parts", "float.scales"),
    ("nvfp4", "nvfp4-pack-quantized", ".weight_packed", "ct.parts", "float.scales"),
    ("nvfp4", "nvfp4-pack-quantized", ".weight_scale", "ct.parts", "float.scales"),
    ("nvfp4", "nvfp4-pack-quantized", ".weight_global_scale", "float.scale", "float.scale"),
    ("mxfp4", "mxfp4-pack-quantized", ".weight_scale", "ct.parts", "float.scales"),
    ("mxfp8", "mxfp8-quantized", ".weight_scale", "ct.parts", "float.scales"),
    ("fp8-tensor", "fp8", ".weight", "quantized.part-missing", "model.tensor-shape"),
    ("fp8-tensor", "fp8", ".weight_scale", "quantized.part-missing", "float.scales"),
    ("fp8-block128", "fp8-block", ".weight_scale_inv", "quantized.part-missing", "float.scales"),
    ("nvfp4", "modelopt-nvfp4", ".weight_scale", "quantized.part-missing", "float.scales"),
    ("nvfp4", "modelopt-nvfp4", ".weight_scale_2", "quantized.part-missing", "float.scale"),
    ("nf4", "bitsandbytes", ".weight.absmax", "bnb.parts", "bnb.absmax"),
    ("nf4", "bitsandbytes", ".weight.quant_map", "bnb.table", "bnb.table"),
    ("nf4", "bitsandbytes", ".weight.quant_state.bitsandbytes__nf4", "bnb.parts", "bnb.state"),
    ("llm-int8", "bitsandbytes", ".SCB", "bnb.absmax", "bnb.absmax"),
  ]

  @Test(arguments: parts.indices) func partsThatAreMissingOrOfAnotherShapeAreNamed(_ index: Int) throws {
    let given = Self.parts[index], name = String(Self.weight.dropLast(".weight".count)) + given.part
    let sound = try EditedFolder(checked.made(given.scheme, packing: given.packing))
    let stored = try #require(sound.tensors.first { $0.name == name }, "\(given)")

    var folder = sound
    folder.tensors.removeAll { $0.name == name }
    folder.save()
    let missing = try answer(folder.path)
    #expect([65, 69].contains(missing.code) && missing.id == given.missing, "\(given): \(missing)")
    #expect(missing.tensor?.hasPrefix("model.layers.0.mlp.up_proj.") == true && missing.message.count > 10)

    folder = sound
    // One row less, or one value more.
    let width = stored.bytes.count / max(1, stored.shape.reduce(1, *))
    folder.change(name) { tensor in
      if tensor.shape.count > 1 {
        tensor.bytes.removeLast(tensor.bytes.count / tensor.shape[0])
        tensor.shape[0] -= 1
      } else {
        tensor.bytes += [UInt8](repeating: 1, count: width)
        tensor.shape = [tensor.shape.reduce(1, *) + 1]
      }
    }
    folder.save()
    let misshapen = try answer(folder.path)
    #expect([65, 69].contains(misshapen.code) && misshapen.id == given.misshapen, "\(given): \(misshapen)")
    #expect(misshapen.tensor?.hasPrefix("model.layers.0.mlp.up_proj.") == true)
  }

  // MARK: The configuration

  @Test(
    arguments: [
      ("int4-g128", "gptq", "group_size", "100", "gptq.group-size"), ("int4-g128", "gptq", "group_size", "64", "gptq.scales"),
      ("int4-g128", "gptq", "bits", "8", "gptq.shape"), ("int4-g128-asym", "awq", "group_size", "100", "awq.group-size"),
      ("int4-g128-asym", "awq", "group_size", "256", "awq.scales"),
      ("fp8-block128", "fp8-block", "weight_block_size", "[64, 64]", "float.scales"),
      ("fp8-block128", "fp8-block", "weight_block_size", "[128, 64]", "fp8.block-size"),
      ("fp8-tensor", "fp8", "activation_scheme", "\"static\"", "quantized.part-missing"),
      ("nvfp4", "modelopt-nvfp4", "quant_algo", "\"FP8\"", "float.weight"),
      ("nvfp4", "modelopt-nvfp4", "quant_algo", "\"FP8_PB_WO\"", "modelopt.algorithm"),
    ] as [(String, String, String, String, String)])
  func configurationsThatContradictTheTensorsAreRefused(scheme: String, packing: String, key: String, value: String, id: String) throws {
    let json = try JSON.parse(ByteView(Array(value.utf8)))
    let found = try answer(scheme, packing: packing) { $0.set("quantization_config", key, to: json) }
    #expect((found.code == 65 || found.code == 69) && found.id == id, "\(found)")
    #expect((found.tensor ?? found.file ?? found.remedy) != nil)
  }

  @Test(
    arguments: [
      ("int4-g128", "group_size", "100", "ct.group-size"), ("int4-g128", "group_size", "64", "ct.scales"),
      ("int4-g128", "num_bits", "8", "ct.shape"), ("int4-g128", "strategy", "\"channel\"", "ct.scales"),
      ("int4-g128", "type", "\"float\"", "ct.strategy"), ("int4-g128", "strategy", "\"head\"", "ct.strategy"),
      ("int4-g128", "symmetric", "false", "ct.zero-points"), ("int4-g128", "num_bits", "null", "ct.group"),
      ("fp8-channel", "strategy", "\"tensor\"", "float.scales"), ("fp8-channel", "type", "\"int\"", "ct.strategy"),
    ] as [(String, String, String, String)])
  func configGroupsThatContradictTheTensorsAreRefused(scheme: String, key: String, value: String, id: String) throws {
    let json = try JSON.parse(ByteView(Array(value.utf8)))
    let found = try answer(scheme, packing: nil) {
      $0.set("quantization_config", "config_groups", "group_0", "weights", key, to: json)
    }
    #expect((found.code == 65 || found.code == 69) && found.id == id, "\(found)")
  }

  @Test(arguments: [("quip", 69), ("GPTQ", 69), ("", 69)] as [(String, Int32)]) func unknownMethodsAreRefusedByName(
    name: String, code: Int32
  ) throws {
    let found = try answer("int4-g128", packing: "gptq") { $0.set("quantization_config", "quant_method", to: .string(name)) }
    #expect(found.code == code && found.id == "hf.quantization.unsupported" && found.message.contains("'\(name)"))
    #expect(found.file?.hasSuffix("config.json") == true && found.remedy != nil)
  }

  @Test func layoutsThatAreNotReadAreRefusedByName() throws {
    let found = try answer("int4-g128", packing: nil) { folder in
      guard let group = folder.configuration["quantization_config"]?["config_groups"]?["group_0"] else { return }
      folder.set("quantization_config", "config_groups", "group_1", to: group)
      folder.set("quantization_config", "config_groups", "group_0", "targets", to: .array([.string("nothing.at.all")]))
      folder.set("quantization_config", "config_groups", "group_1", "format", to: .string("marlin-24"))
    }
    #expect(found.code == 69 && found.id == "ct.format" && found.message.contains("'marlin-24'") && found.tensor != nil)
  }

  // MARK: The index

  @Test func anIndexThatNamesMissingOrLeavesOutTensorsIsRefused() throws {
    let folder = try EditedFolder(checked.made("int4-g128"))
    func index(_ names: [String]) -> [UInt8] {
      let map = JSON.object(names.map { .init($0, .string("model.safetensors")) })
      return Array(JSON.object([.init("weight_map", map)]).text().utf8)
    }
    let names = folder.tensors.map(\.name), file = folder.path + "/model.safetensors.index.json"
    writeFile(file, index(names + [Self.weight + "_extra"]))
    let missing = try answer(folder.path)
    #expect([65, 69].contains(missing.code) && missing.id == "hf.tensor.missing" && missing.tensor == Self.weight + "_extra")
    writeFile(file, index(names.filter { $0 != Self.weight + "_scale" }))
    let extra = try answer(folder.path)
    #expect(extra.code == 65 && extra.id == "hf.index.incomplete" && extra.tensor == Self.weight + "_scale" && extra.remedy != nil)
    writeFile(file, index(names))
    #expect(try answer(folder.path).code == 0)
  }

  // MARK: Values that are not finite

  /// The first scale of the second row.
  @Test(
    arguments: [("int4-g128", [0xc0, 0x7f], "nan"), ("int4-g128-asym", [0x80, 0x7f], "inf"), ("fp8-channel", [0x80, 0xff], "-inf")]
      as [(String, [UInt8], String)], [nil, "keep"])
  func scalesThatAreNotFiniteAreNotRepacked(_ given: (scheme: String, bytes: [UInt8], text: String), moved: String?) throws {
    var folder = try EditedFolder(checked.made(given.scheme))
    let groups = given.scheme == "fp8-channel" ? 1 : 2
    folder.change("mlp.up_proj.weight_scale") { $0.bytes.replaceSubrange(2 * groups..<2 * groups + 2, with: given.bytes) }
    folder.save()
    let found = try answer(folder.path, moved == nil ? ["--scheme", "bf16"] : [])
    #expect(found.code == 65 && found.tensor == Self.weight && found.remedy?.contains("--allow-nonfinite") == true)
    if moved == nil {
      #expect(found.id == "data.nonfinite")
    } else {
      #expect(found.id == "scale.nonfinite" && found.message == "the scale of row 1, group 0 is \(given.text)", "\(found)")
    }
    #expect(try answer(folder.path, ["--allow-nonfinite"]).code == 0)
  }

  @Test func codesThatAreNotFiniteAreNotRepacked() throws {
    var folder = try EditedFolder(checked.made("fp8-channel"))
    folder.change("mlp.up_proj.weight") { $0.bytes[300] = 0x7f }
    folder.save()
    let found = try answer(folder.path, [])
    #expect(found.code == 65 && found.id == "data.nonfinite" && found.tensor == Self.weight)
    #expect(found.message.contains("row 1, column 44 is"))
  }

  @Test func weightsThatMoveIntoAnotherContainerAreCheckedToo() throws {
    var folder = try EditedFolder(checked.made("int4-g128", packing: "gptq"))
    // Groups are rows here: output 5 of the second group.
    folder.change("mlp.up_proj.scales") { tensor in
      let place = 2 * (tensor.shape[1] + 5)
      tensor.bytes.replaceSubrange(place..<place + 2, with: [0x00, 0x7c])
    }
    folder.save()
    for arguments in [["--packing", "pack-quantized"], ["--packing", "gptq_v2"]] {
      let found = try answer(folder.path, arguments)
      #expect(found.id == "scale.nonfinite" && found.message == "the scale of row 5, group 1 is inf", "\(found)")
    }
  }
}
