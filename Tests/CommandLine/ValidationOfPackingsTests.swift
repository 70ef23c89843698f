import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Errors in a quantized folder that clients silently misread: each is made here, found, and named.
@Suite struct ValidationOfPackingsTests {
  private let checked: CheckedFolder

  init() throws { checked = try CheckedFolder() }

  private func words(_ word: UInt32) -> (inout EditedFolder.Stored) -> Void {
    { $0.bytes = [UInt32](repeating: word, count: $0.bytes.count / 4).littleEndianBytes }
  }

  private func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]) -> (inout EditedFolder) -> Void {
    { $0.tensors.append(.init(name: name, type: type, shape: shape, bytes: bytes)) }
  }

  // MARK: GPTQ and AWQ

  @Test(
    arguments: [
      ("gptq", 0x8888_8888, "gptq.zeros-label"), ("gptq_v2", 0x7777_7777, "gptq.zeros-label"),
      ("gptq", 0x7777_7776, "gptq.zeros-symmetric"),
      ("gptq_v2", 0x1234_5678, "gptq.zeros-symmetric"),
    ] as [(String, UInt32, String)])
  func zeroPointsOfTheOtherFormAreNamed(packing: String, word: UInt32, id: String) throws {
    let found = try checked.ids("int4-g128", packing: packing) { $0.change(".qzeros", words(word)) }
    #expect(found == [id])
  }

  /// All words are checked, not only the first.
  @Test func oneZeroPointIsEnough() throws {
    let found = try checked.ids("int4-g128", packing: "gptq") { folder in
      folder.change("o_proj.qzeros") { $0.bytes[$0.bytes.count - 1] = 0x67 }
    }
    #expect(found == ["gptq.zeros-symmetric"])
  }

  @Test func mislabelledZeroPointsOfThreeBitsAreNamed() throws {
    let found = try checked.ids("int3-g128", packing: "gptq") { $0.set("quantization_config", "checkpoint_format", to: .string("gptq_v2")) }
    #expect(found == ["gptq.zeros-label"])
  }

  @Test func zeroPointsThatWrapAroundAreSaid() throws {
    let found = try checked.ids("int4-g128-asym", packing: "gptq") { folder in
      folder.change("q_proj.qzeros") { $0.bytes[0] = 0x0f }
    }
    #expect(found == ["gptq.zeros-wrapped"])
  }

  @Test func groupsOfColumnsAreHeldAgainstTheConfiguration() throws {
    func order(_ folder: inout EditedFolder) {
      folder.change("o_proj.g_idx") { $0.bytes = (0..<256).map { UInt32(1 - $0 / 128) }.littleEndianBytes }
    }
    #expect(try checked.ids("int4-g128", packing: "gptq") { $0.remove("q_proj.g_idx") } == ["gptq.group-index"])
    let other = try CheckedFolder()
    #expect(try other.ids("int4-g128", packing: "gptq", order) == ["gptq.group-order"])
    let ordered = try CheckedFolder()
    let found = try ordered.ids("int4-g128", packing: "gptq") { folder in
      order(&folder)
      folder.set("quantization_config", "desc_act", to: .bool(true))
    }
    #expect(found.isEmpty)
  }

  @Test func orderOfActivationsInNameOnlyIsSaid() throws {
    let found = try checked.ids("int4-g128", packing: "gptq") { $0.set("quantization_config", "desc_act", to: .bool(true)) }
    #expect(found == ["gptq.desc-act"])
  }

  @Test func aPackedHeadThatTheConfigurationDoesNotKnowIsNamed() throws {
    let found = try checked.ids("int4-g128", packing: "gptq") { folder in
      for tensor in folder.tensors where tensor.name.hasPrefix("model.layers.0.self_attn.q_proj.") {
        let part = tensor.name.split(separator: ".").last ?? ""
        folder.tensors.append(.init(name: "lm_head.\(part)", type: tensor.type, shape: tensor.shape, bytes: tensor.bytes))
      }
      folder.remove("lm_head.weight")
    }
    #expect(found == ["model.tensor-shape", "quantization.target-ignored"])
  }

  @Test func blocksOfGGUFInAFolderAreRefusedByName() throws {
    let found = try checked.ids("int4-g128", packing: "gptq") { $0.set("quantization_config", "quant_method", to: .string("gguf")) }
    #expect(found == ["gptq.gguf-blocks"])
  }

  @Test func zeroPointsOfGPTQInAWQAreNamed() throws {
    #expect(try checked.ids("int4-g128-asym", packing: "awq") { $0.change(".qzeros", words(0x7777_7777)) } == ["awq.zeros-label"])
  }

  // MARK: Targets

  /// Replaces a quantized layer with plain weights.
  private func plain(_ module: String, _ shape: [Int], in folder: inout EditedFolder) {
    folder.tensors.removeAll { $0.name.hasPrefix(module + ".") }
    add(module + ".weight", "BF16", shape, [UInt8](repeating: 0x3c, count: shape.reduce(2, *)))(&folder)
  }

  /// The configuration names layers as quantized whose tensors are plain.
  @Test(
    arguments: [
      ("int4-g128", nil), ("int4-g128-asym", "awq"), ("fp8-tensor", "fp8"), ("fp8-block128", "fp8-block"),
    ] as [(String, String?)])
  func plainLayersThatAreSaidToBeQuantizedAreNamed(scheme: String, packing: String?) throws {
    let found = try checked.ids(scheme, packing: packing) { folder in
      plain("model.layers.0.mlp.down_proj", [256, 768], in: &folder)
    }
    #expect(found == ["quantization.target-unquantized"])
  }

  @Test(
    arguments: [
      ("int4-g128", nil, "ignore", "ct.ignored"), ("int4-g128-asym", "awq", "modules_to_not_convert", "awq.ignored"),
      ("fp8-tensor", "fp8", "modules_to_not_convert", "quantization.target-ignored"),
      ("fp8-tensor", "fp8", "ignored_layers", "quantization.target-ignored"),
      ("nvfp4", "modelopt-nvfp4", "ignore", "quantization.target-ignored"),
      ("nf4", nil, "llm_int8_skip_modules", "quantization.target-ignored"),
    ] as [(String, String?, String, String)])
  func quantizedLayersThatAreSaidToBePlainAreNamed(scheme: String, packing: String?, key: String, id: String) throws {
    let name = JSON.string("model.layers.0.mlp.down_proj")
    let found = try checked.ids(scheme, packing: packing) { $0.set("quantization_config", key, to: .array([.string("lm_head"), name])) }
    #expect(found.filter { !$0.hasPrefix("modelopt.") } == [id])
  }

  @Test func patternsOfModelOptAreUnderstood() throws {
    let patterns = JSON.array(["lm_head", "*.mlp*", "model.layers.0.self_attn.k_*"].map { .string($0) })
    let edited = try EditedFolder(checked.made("nvfp4", packing: "modelopt-nvfp4"))
    var folder = edited
    folder.set("quantization_config", "ignore", to: patterns)
    folder.save()
    let found = try checked.findings(folder.path).first { $0.id == "quantization.target-ignored" }
    #expect(found?.tensor == "model.layers.0.self_attn.k_proj.weight" && found?.message.hasSuffix("in 4 tensors") == true)
  }

  @Test func targetsWithoutLayersAreNamed() throws {
    let found = try checked.ids("int4-g128") { folder in
      let names = ["Linear", "model.layers.0.mlp.extra_proj", "re:.*experts.*"].map { JSON.string($0) }
      folder.set("quantization_config", "config_groups", "group_0", "targets", to: .array(names))
    }
    #expect(found == ["ct.target-missing", "ct.target-missing"])
  }

  @Test func patternsThatOverlapAreSaid() throws {
    let found = try checked.ids("int4-g128") { folder in
      guard let group = folder.configuration["quantization_config"]?["config_groups"]?["group_0"] else { return }
      folder.set("quantization_config", "config_groups", "group_1", to: group)
      folder.set("quantization_config", "config_groups", "group_0", "targets", to: .array([.string("re:.*proj$")]))
      folder.set("quantization_config", "config_groups", "group_1", "targets", to: .array([.string("re:.*down_proj$")]))
    }
    #expect(found == ["ct.targets-overlap"])
  }

  @Test func layersThatAreJoinedMustBeStoredAlike() throws {
    let found = try checked.ids("int4-g128") { folder in
      plain("model.layers.0.mlp.gate_proj", [768, 256], in: &folder)
      folder.set("quantization_config", "ignore", to: .array(["lm_head", "model.layers.0.mlp.gate_proj"].map { .string($0) }))
    }
    #expect(found == ["quantization.joint-layers"])
  }

  @Test func tensorScalesOfJoinedLayersMustBeShared() throws {
    let found = try checked.ids("nvfp4") { folder in
      folder.change("k_proj.weight_global_scale") { $0.bytes = NumberConversion.bytes(of: [3000], as: .f32) }
    }
    #expect(found == ["scale.not-shared"])
  }

  // MARK: The configuration

  @Test(arguments: ["int4-g128", "fp8-channel", "nf4", "mxfp4"]) func codesWithoutAConfigurationAreNamed(scheme: String) throws {
    let found = try checked.ids(scheme) { $0.set("quantization_config", to: nil) }
    #expect(found.first == "quantization.missing")
  }

  @Test func descriptionsBesideTheConfigurationAreHeldAgainstIt() throws {
    var folder = try EditedFolder(checked.made("int4-g128", packing: "gptq"))
    let text = #"{"bits": 4, "group_size": 64, "sym": true, "desc_act": false, "checkpoint_format": "gptq_v2"}"#
    writeFile(folder.path + "/quantize_config.json", Array(text.utf8))
    let found = try checked.findings(folder.path)
    #expect(found.map(\.id) == ["quantization.contradiction", "quantization.contradiction"])
    #expect(found[0].message.contains("'group_size' is 128") && found[0].message.contains("quantize_config.json says 64"))
    let own = #"{"bits": 4, "group_size": 128, "sym": true, "desc_act": false}"#
    writeFile(folder.path + "/quantize_config.json", Array(own.utf8))
    #expect(try checked.ids(folder.path).isEmpty)
    folder.set("quantization_config", to: nil)
    folder.save()
    #expect(try checked.ids(folder.path) == ["quantization.beside"])
  }

  @Test func keysThatVersionsRefuseAreSaid() throws {
    #expect(
      try checked.ids("int4-g128") { folder in
        let weights = ["quantization_config", "config_groups", "group_0", "weights"]
        folder.set(weights[0], weights[1], weights[2], weights[3], "zp_dtype", to: .null)
        folder.set(weights[0], weights[1], weights[2], weights[3], "actorder", to: .string("group"))
        folder.set("quantization_config", "sparsity_config", to: .object([.init("format", .string("sparse-bitmask"))]))
      } == ["ct.later-keys", "ct.sparsity", "ct.act-order"])
  }

  @Test func weightsThatAreRotatedAreRefused() throws {
    let found = try checked.ids("int4-g128") { folder in
      folder.set("quantization_config", "transform_config", "config_groups", "u", to: .object([.init("type", .string("hadamard"))]))
    }
    #expect(found == ["ct.transform"])
  }

  // MARK: compressed-tensors

  @Test func wordsOfOddWidthsAreSaidWithTheVersionsThatReadThem() throws {
    var folder = try EditedFolder(checked.made("int3-g128"))
    let dense = try checked.findings(folder.path)
    #expect(dense.map(\.id) == ["ct.word-layout"] && dense[0].message.contains("from 0.18 on") && dense[0].message.hasSuffix("7 tensors"))
    // Ten whole codes in each word.
    folder.change(".weight_packed") { tensor in
      let columns = tensor.shape[1] * 32 / 3
      tensor.shape[1] = (columns + 9) / 10
      tensor.bytes = [UInt8](repeating: 0x11, count: tensor.shape[0] * tensor.shape[1] * 4)
    }
    folder.save()
    let gapped = try checked.findings(folder.path)
    #expect(gapped.map(\.id) == ["ct.word-layout"] && gapped[0].message.contains("before 0.18 only"))
  }

  @Test func zeroPointsOfSymmetricGroupsAreNamed() throws {
    let found = try checked.ids("int4-g128-asym") { folder in
      folder.set("quantization_config", "config_groups", "group_0", "weights", "symmetric", to: .bool(true))
      // One layer has all its zero points in the middle.
      folder.change("q_proj.weight_zero_point", words(0x8888_8888))
    }
    #expect(found == ["ct.zero-points"])
  }

  // MARK: Caches

  private let cache = JSON.object([
    .init("num_bits", .int(8)), .init("type", .string("float")), .init("strategy", .string("tensor")), .init("dynamic", .bool(false)),
    .init("symmetric", .bool(true)),
  ])

  @Test func scalesOfCachesAreHeldAgainstTheConfiguration() throws {
    #expect(try checked.ids("fp8-channel") { $0.set("quantization_config", "kv_cache_scheme", to: cache) } == ["cache.scales-missing"])
    let other = try CheckedFolder()
    let found = try other.ids("fp8-channel") { folder in
      for part in ["k_scale", "v_scale"] { add("model.layers.0.self_attn.\(part)", "BF16", [1], [0x80, 0x3c])(&folder) }
    }
    #expect(found == ["cache.scales-unused"])
  }

  @Test func scalesOfCachesInSomeBlocksAreNamed() throws {
    let found = try checked.ids("fp8-tensor", packing: "fp8") { folder in
      // The model has one block; these are another's.
      for part in ["k_scale", "v_scale"] { add("model.layers.7.self_attn.\(part)", "F32", [1], [0, 0, 0x80, 0x3c])(&folder) }
    }
    #expect(found == ["cache.scales-missing"])
  }

  @Test(arguments: ["k_scale", "v_scale"]) func scalesOfCachesAreOnePositiveNumber(part: String) throws {
    let found = try checked.ids("fp8-channel") { folder in
      folder.set("quantization_config", "kv_cache_scheme", to: cache)
      for name in ["k_scale", "v_scale"] {
        add("model.layers.0.self_attn.\(name)", "BF16", [1], name == part ? [0, 0] : [0x80, 0x3c])(&folder)
      }
    }
    #expect(found == ["ct.input-scale"])
  }

  // MARK: FP8, ModelOpt, bitsandbytes

  @Test func whatReadersOfFP8NeedIsNamed() throws {
    let found = try checked.ids("fp8-block128", packing: "fp8-block") { folder in
      folder.set("quantization_config", "activation_scheme", to: nil)
      folder.set("quantization_config", "scale_fmt", to: .string("ue8m0"))
    }
    #expect(found == ["fp8.activation-scheme", "fp8.scale-format"])
  }

  @Test(arguments: [("fp8-tensor", "fp8"), ("fp8-block128", "fp8-block")]) func scalesThatAreReciprocalsByNameAreRefused(
    scheme: String, packing: String
  ) throws {
    let found = try checked.ids(scheme, packing: packing) {
      $0.set("quantization_config", "weight_scale_semantics", to: .string("inverse"))
    }
    #expect(found == ["fp8.semantics"])
  }

  @Test func scalesThatTransformersDropsAreSaid() throws {
    let path = try checked.made("fp8-tensor", packing: "modelopt-fp8", activations: "fp8-tensor")
    let found = try checked.findings(path)
    #expect(found.map(\.id) == ["modelopt.scales-dropped"] && found[0].severity == .warning)
    var folder = try EditedFolder(path)
    add("model.layers.0.self_attn.q_proj.pre_quant_scale", "BF16", [256], [UInt8](repeating: 0x3f, count: 512))(&folder)
    folder.set("quantization_config", "kv_cache_scheme", to: cache)
    folder.save()
    #expect(
      try checked.ids(path) == [
        "modelopt.scales-dropped", "modelopt.pre-quant-scale", "cache.scales-missing", "model.tensor-unused",
      ])
  }

  @Test func kindsOfBitsandbytesAreHeldAgainstTheTensors() throws {
    let found = try checked.ids("nf4") { folder in
      folder.set("quantization_config", "load_in_4bit", to: .bool(false))
      folder.set("quantization_config", "load_in_8bit", to: .bool(true))
    }
    #expect(found == ["bnb.kind"])
  }

  // MARK: What the owners of the layouts wrote

  /// Folders that other tools wrote, some cut down from larger ones.
  @Test(arguments: Golden.cutModels.sorted() + ["gptoss-mxfp4"]) func foldersOfTheOwningToolsHaveNoErrors(_ name: String) throws {
    let errors = try checked.findings(Golden.cut(name)).filter { $0.severity == .error }
    #expect(errors.isEmpty, "\(errors)")
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden")) func wholeFoldersOfTheOwningToolsHaveNoErrors() throws {
    let golden = SharedData.path("golden")
    let names = try Files.list(golden).sorted().filter { Files.exists("\(golden)/\($0)/config.json") }
    #expect(names.count >= 32)
    for name in names {
      let errors = try checked.findings(Golden.whole(name)).filter { $0.severity == .error }
      #expect(errors.isEmpty, "\(name): \(errors)")
    }
  }
}
