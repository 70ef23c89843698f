import CompressedTensors
import Float8
import GPTOSS
import ModelOpt
import QuantCore
import TestSupport
import Testing

/// What is packed is unpacked again, and what does not fit is refused with the name of the tensor.
@Suite struct FloatPackingTests {
  private static let name = "model.layers.0.x.weight"
  private static let module = "model.layers.0.x"
  private let matrix = Matrix(rows: 20, columns: 96, values: (0..<20 * 96).map { Float(($0 * 7919) % 1009 - 504) / 4096 })

  /// A packing, a scheme that it holds, the parts with their shapes, and the inputs that its clients expect.
  struct Layout: Sendable {
    var packing: any FolderPacking & ActivationPacking & Unpacker
    var scheme: String
    var parts: [String: [Int]]
    var inputs: ActivationScheme?
  }

  private static let layouts = [
    Layout(
      packing: NVFP4PackQuantized(), scheme: "nvfp4", parts: ["_packed": [20, 48], "_scale": [20, 6], "_global_scale": [1]], inputs: .nvfp4),
    Layout(packing: NVFP4PackQuantized(), scheme: "nvfp4", parts: ["_packed": [20, 48], "_scale": [20, 6], "_global_scale": [1]]),
    Layout(packing: MXFP4PackQuantized(), scheme: "mxfp4", parts: ["_packed": [20, 48], "_scale": [20, 3]]),
    Layout(packing: MXFP8Quantized(), scheme: "mxfp8", parts: ["": [20, 96], "_scale": [20, 3]]),
    Layout(packing: FloatQuantized(), scheme: "fp8-block16", parts: ["": [20, 96], "_scale": [2, 6]], inputs: .fp8Token),
    Layout(packing: NativeFloat8(), scheme: "fp8-tensor", parts: ["": [20, 96], "_scale": [1]], inputs: .fp8Static),
    Layout(packing: NativeFloat8(), scheme: "fp8-tensor", parts: ["": [20, 96], "_scale": [1]], inputs: .fp8Token),
    Layout(
      packing: BlockFloat8(), scheme: "fp8-block16", parts: ["": [20, 96], "_scale_inv": [2, 6]],
      inputs: ActivationScheme(.fp8, .group(16))),
    Layout(packing: ModelOptFloat8(), scheme: "fp8-tensor", parts: ["": [20, 96], "_scale": []], inputs: .fp8Static),
    Layout(packing: ModelOptNVFP4(), scheme: "nvfp4", parts: ["": [20, 48], "_scale": [20, 6], "_scale_2": []], inputs: .nvfp4),
    Layout(packing: ModelOptNVFP4(), scheme: "nvfp4", parts: ["": [20, 48], "_scale": [20, 6], "_scale_2": []]),
  ]

  private func scheme(_ layout: Layout) throws -> any Scheme {
    let plain = try #require(
      MicroscalingSchemes.scheme(named: layout.scheme, modelType: .bf16) ?? Float8Schemes.scheme(named: layout.scheme, modelType: .bf16))
    return layout.packing.stored(plain).fittedToTensor(largestMagnitude: 0.125)
  }

  /// The stored tensors of the matrix, packed 16 rows at a time, with a scale of the input if there is one.
  private func stored(_ layout: Layout) throws -> [CheckpointTensor] {
    let scheme = try scheme(layout)
    let shape = [matrix.rows, matrix.columns]
    let parts = layout.packing.parts(name: Self.name, shape: shape, scheme: scheme)
    var bytes = [[UInt8]](repeating: [], count: parts.count)
    for rows in [0..<16, 16..<20] {
      var panel = scheme.emptyPanel(rows: rows.count, columns: matrix.columns)
      matrix.withPanel(rows: rows) { scheme.encode($0, importance: nil, into: &panel) }
      bytes = zip(bytes, layout.packing.pack(panel, rows: rows, of: shape, scheme: scheme)).map { $0 + $1 }
    }
    var tensors = zip(parts, bytes).map { tensor($0, $1) }
    if let inputs = layout.inputs, inputs.isStatic {
      for (part, _) in layout.packing.inputParts(name: Self.name, activations: inputs, modelType: .bf16) {
        tensors.append(tensor(part, part.byteCount == 4 ? [0, 0, 0, 65] : [0, 65]))
      }
    }
    return tensors
  }

  private func tensor(_ part: StoredPart, _ bytes: [UInt8]) -> CheckpointTensor {
    #expect(part.byteCount == bytes.count)
    let type: ElementType = if case .element(let type) = part.type { type } else { .u8 }
    return CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(type, ByteView(bytes)))
  }

  private func configuration(_ layout: Layout) throws -> JSON {
    let module = QuantizedModule(name: Self.module, scheme: try scheme(layout), activations: layout.inputs)
    return try #require(try layout.packing.configuration(modules: [module], unquantized: ["lm_head"]))
  }

  @Test(arguments: FloatPackingTests.layouts.indices) func unpackedWeightsAreThoseOfTheScheme(_ index: Int) throws {
    let layout = Self.layouts[index]
    let scheme = try scheme(layout)
    #expect(layout.packing.holds(scheme.grid) && layout.packing.holds(scheme.grid, activations: layout.inputs))
    let parts = try stored(layout)
    for (suffix, shape) in layout.parts { #expect(parts.first { $0.name == Self.name + suffix }?.shape == shape) }
    let other = CheckpointTensor(name: "norm.weight", shape: [1], storage: PlainStorage(.f32, ByteView([0, 0, 128, 63])))
    let unpacked = try #require(try layout.packing.unpack(configuration: configuration(layout), stored: parts + [other]))
    #expect(unpacked.map(\.name) == [Self.name, "norm.weight"] && unpacked[0].shape == [20, 96])
    let values = matrix.withPanel { scheme.roundTrip($0) }
    #expect(unpacked[0].matrix().values == values && unpacked[0].storage.schemeName == layout.scheme)
    var rows = [Float](repeating: 0, count: 3 * 96)
    unpacked[0].decode(rows: 15..<18, into: &rows)
    #expect(rows == Array(values[15 * 96..<18 * 96]))
    // Packing the codes again gives the same bytes.
    let quantized = try #require(unpacked[0].storage as? any QuantizedStorage)
    #expect(layout.packing.holds(quantized.scheme.grid))
    let again = layout.packing.pack(quantized.panel(rows: 0..<20, rowLength: 96), rows: 0..<20, of: [20, 96], scheme: quantized.scheme)
    #expect(again == parts.prefix(again.count).map { $0.storage.verbatim?.withUnsafeBytes { Array($0) } ?? [] })
  }

  @Test(arguments: FloatPackingTests.layouts.indices) func inputsAreReadAsTheyWereAskedFor(_ index: Int) throws {
    let layout = Self.layouts[index]
    let record = try layout.packing.activations(configuration: configuration(layout), stored: stored(layout))
    let input = record.inputs[Self.module]
    #expect(input?.scheme == layout.inputs)
    let isReciprocal = layout.packing is ModelOptNVFP4
    #expect(input?.scale == (layout.inputs?.isStatic == true ? (isReciprocal ? 0.125 : 8) : nil))
    guard layout.inputs?.isStatic == true else { return }
    let incomplete = try stored(layout).filter { !$0.name.contains("input") }
    let failure = #expect(throws: Failure.self) {
      try layout.packing.activations(configuration: configuration(layout), stored: incomplete)
    }
    #expect(failure?.tensor?.hasPrefix(Self.module + ".input") == true)
  }

  @Test(arguments: FloatPackingTests.layouts.indices) func brokenPartsAreRefusedByName(_ index: Int) throws {
    let layout = Self.layouts[index]
    let whole = try stored(layout), json = try configuration(layout)
    func refuses(_ parts: [CheckpointTensor], _ what: String) {
      let failure = #expect(throws: Failure.self, "\(what)") { try layout.packing.unpack(configuration: json, stored: parts) }
      #expect(failure?.tensor?.hasPrefix(Self.module) == true, "\(what)")
    }
    func replaced(_ suffix: String, _ shape: [Int], _ type: ElementType, _ byte: UInt8 = 1) -> [CheckpointTensor] {
      whole.map { tensor in
        guard tensor.name == Self.name + suffix else { return tensor }
        let bytes = [UInt8](repeating: byte, count: min(1 << 12, Checked.product(of: [type.bitCount / 8] + shape) ?? 96))
        return CheckpointTensor(name: tensor.name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
      }
    }
    // Codes of compressed-tensors without any scale are left out here.
    let keepsCodes = try configuration(layout)["quant_method"] == .string("compressed-tensors") && layout.parts[""] != nil
    for (suffix, shape) in layout.parts {
      if !keepsCodes || suffix.isEmpty { refuses(whole.filter { $0.name != Self.name + suffix }, "without '\(suffix)'") }
      refuses(replaced(suffix, shape, .i64), "'\(suffix)' of integers")
      refuses(replaced(suffix, [Int.max, 2], suffix == "_scale" ? .f32 : .u8), "'\(suffix)' of an absurd shape")
      refuses(replaced(suffix, [0, 2], .u8), "'\(suffix)' without rows")
      if shape.count == 2 { refuses(replaced(suffix, [shape[0], shape[1] - 1], .u8), "'\(suffix)' too narrow") }
      if suffix.contains("global") || suffix == "_scale_2" {
        for byte: UInt8 in [0, 0x80, 0xff] { refuses(replaced(suffix, shape, .f32, byte), "'\(suffix)' of \(byte)") }
      }
    }
  }

  @Test func configurationsSayWhatClientsMustKnow() throws {
    func text(_ index: Int) throws -> String { try configuration(Self.layouts[index]).text() }
    #expect(
      try text(0)
        == #"{"quant_method":"compressed-tensors","format":"nvfp4-pack-quantized","quantization_status":"compressed","#
        + #""config_groups":{"group_0":{"targets":["Linear"],"weights":{"num_bits":4,"type":"float","symmetric":true,"#
        + #""strategy":"tensor_group","group_size":16,"scale_dtype":"torch.float8_e4m3fn"},"input_activations":{"num_bits":4,"type":"float","symmetric":true,"#
        + #""dynamic":"local","strategy":"tensor_group","group_size":16,"scale_dtype":"torch.float8_e4m3fn"}}},"ignore":["lm_head"]}"#)
    #expect(
      try configuration(Self.layouts[2])["config_groups"]?["group_0"]?["weights"]?.text()
        == #"{"num_bits":4,"type":"float","symmetric":true,"strategy":"group","group_size":32,"scale_dtype":"torch.uint8"}"#)
    #expect(
      try text(5)
        == #"{"quant_method":"fp8","fmt":"e4m3","activation_scheme":"static","modules_to_not_convert":["lm_head"]}"#)
    #expect(
      try text(7)
        == #"{"quant_method":"fp8","fmt":"e4m3","activation_scheme":"dynamic","weight_block_size":[16,16],"#
        + #""modules_to_not_convert":["lm_head"]}"#)
    let modelOpt = try configuration(Self.layouts[9])
    #expect(
      modelOpt.text()
        == #"{"config_groups":{"group_0":{"input_activations":{"dynamic":false,"num_bits":4,"type":"float","group_size":16},"#
        + #""weights":{"dynamic":false,"num_bits":4,"type":"float","group_size":16},"targets":["Linear"]}},"ignore":["lm_head"],"#
        + #""quant_algo":"NVFP4","producer":{"name":"modelopt"},"quant_method":"modelopt"}"#)
    let files = ModelOptNVFP4().files(configuration: modelOpt)
    #expect(files.map { $0.name } == ["hf_quant_config.json"])
    #expect(
      files[0].json.text()
        == #"{"producer":{"name":"modelopt"},"quantization":{"quant_algo":"NVFP4","kv_cache_quant_algo":null,"group_size":16,"#
        + #""exclude_modules":["lm_head"]}}"#)
    // Either of the two is enough to read the folder.
    #expect(try ModelOptNVFP4().unpack(configuration: files[0].json, stored: stored(Self.layouts[9]))?.count == 1)
    #expect(try configuration(Self.layouts[10])["quant_algo"] == .string("W4A16_NVFP4"))
  }

  @Test func algorithmsOfModelOptThatAreNotReadAreNamed() throws {
    for algorithm in ["FP8_PB_WO", "FP8_PER_CHANNEL_PER_TOKEN", "W4A16_AWQ", "MIXED_PRECISION", "MXFP8"] {
      let json = JSON.object([.init("quant_method", .string("modelopt")), .init("quant_algo", .string(algorithm))])
      for packing in [ModelOptFloat8(), ModelOptNVFP4()] as [any Unpacker] {
        let failure = #expect(throws: Failure.self) { try packing.unpack(configuration: json, stored: []) }
        #expect(failure?.id == "modelopt.algorithm" && failure?.message.contains(algorithm) == true)
      }
    }
  }

  @Test func powersOfTwoMayBeBytesInFP8Blocks() throws {
    let layout = Self.layouts[7]
    var parts = try stored(layout)
    // 2^-3, as E8M0 and as F32.
    let bytes = [UInt8](repeating: 124, count: 12), floats = [UInt8]((0..<12).flatMap { _ in [0, 0, 0, 0x3e] as [UInt8] })
    func unpacked(_ type: ElementType, _ bytes: [UInt8]) throws -> Matrix? {
      parts[1] = CheckpointTensor(name: parts[1].name, shape: [2, 6], storage: PlainStorage(type, ByteView(bytes)))
      return try layout.packing.unpack(configuration: configuration(layout), stored: parts)?.first?.matrix()
    }
    let expected = try unpacked(.f32, floats)
    #expect(try expected != nil && unpacked(.f8e8m0, bytes) == expected)
  }

  /// Codes and scales that torch computed (Tests/Fixtures/float8/make.py).
  @Test func blocksUnderPowersOfTwoAreThoseOfDeepGEMM() throws {
    let fixture = storedTensors(SharedData.fixture("float8/ue8m0.safetensors"))
    let source = try #require(fixture.first { $0.name == "source" }).matrix()
    let scheme = try #require(Float8Schemes.scheme(named: "fp8-block128-e8m0", modelType: .bf16)), shape = [source.rows, source.columns]
    #expect(scheme.name == "fp8-block128-e8m0" && BlockFloat8().holds(scheme.grid) && !FloatQuantized().holds(scheme.grid))
    #expect(Float8Schemes.scheme(named: "fp8-channel-e8m0", modelType: .bf16) == nil)
    var panel = scheme.emptyPanel(rows: source.rows, columns: source.columns)
    source.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    var stored: [CheckpointTensor] = []
    let parts = BlockFloat8().parts(name: "x.weight", shape: shape, scheme: scheme)
    for (part, bytes) in zip(parts, BlockFloat8().pack(panel, rows: 0..<source.rows, of: shape, scheme: scheme)) {
      let owed = try #require(fixture.first { "x." + $0.name == part.name })
      let type = try #require(ElementType(rawValue: owed.storage.schemeName.uppercased()))
      #expect(part.shape == owed.shape && part.type == .element(type) && bytes == owed.storage.verbatim?.bytes, "\(part.name)")
      stored.append(tensor(part, bytes))
    }
    let configuration = try #require(try BlockFloat8().configuration(modules: [.init(name: "x", scheme: scheme)], unquantized: []))
    #expect(configuration["scale_fmt"] == .string("ue8m0"))
    let weight = try #require(try BlockFloat8().unpack(configuration: configuration, stored: stored)?.first)
    #expect(weight.storage.schemeName == scheme.name && weight.matrix().values == scheme.values(panel))
    let plain = try #require(Float8Schemes.scheme(named: "fp8-block128", modelType: .bf16))
    #expect(plain.repacking(of: scheme)?.fidelity == .exact && scheme.repacking(of: plain) == nil)
  }

  @Test func mixedLayersThatOneConfigurationCannotSayAreRefused() throws {
    let fp8 = try scheme(Self.layouts[5]), nvfp4 = try scheme(Self.layouts[9])
    let small = try #require(Float8Schemes.scheme(named: "fp8-block16", modelType: .bf16))
    let large = try #require(Float8Schemes.scheme(named: "fp8-block32", modelType: .bf16))
    let cases: [(any FolderPacking, [QuantizedModule])] = [
      (NativeFloat8(), [.init(name: "a", scheme: fp8, activations: .fp8Static), .init(name: "b", scheme: fp8)]),
      (BlockFloat8(), [.init(name: "a", scheme: small), .init(name: "b", scheme: large)]),
      (ModelOptNVFP4(), [.init(name: "a", scheme: nvfp4, activations: .nvfp4), .init(name: "b", scheme: nvfp4)]),
    ]
    for (packing, modules) in cases {
      let failure = #expect(throws: Failure.self) { try packing.configuration(modules: modules, unquantized: []) }
      #expect(failure?.tensor == "b")
    }
  }

  @Test func otherGridsAreNotHeld() throws {
    let packings = GoldenFolderTests.packings
    let integers = try #require(IntegerScheme(bits: 8, groupLength: nil, isSymmetric: true, modelType: .bf16))
    let wide = try #require(Float8Scheme(.e5m2, level: .tensor, modelType: .bf16))
    for packing in packings {
      for scheme in [integers, wide, FloatScheme.bf16] as [any Scheme] { #expect(!packing.holds(scheme.grid)) }
    }
    // Each of these schemes has its own packings.
    for (name, count) in [("nvfp4", 1), ("mxfp4", 2), ("mxfp8", 1), ("fp8-channel", 1), ("fp8-block128", 2), ("fp8-tensor", 3)] {
      let scheme = try #require(
        MicroscalingSchemes.scheme(named: name, modelType: .bf16) ?? Float8Schemes.scheme(named: name, modelType: .bf16))
      #expect(packings.count { $0.holds(scheme.grid) } == count, "\(name)")
    }
    #expect(!ModelOptFloat8().holds(try scheme(Self.layouts[8]).grid, activations: nil))
  }

  @Test func expertsOfGPTOSSNeedWholeParts() throws {
    let json = JSON.object([.init("quant_method", .string("mxfp4"))])
    func tensor(_ name: String, _ shape: [Int]) -> CheckpointTensor {
      let count = min(1 << 12, Checked.product(of: shape) ?? 96)
      return CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.u8, ByteView([UInt8](repeating: 127, count: count))))
    }
    let whole = [tensor("e.down_proj_blocks", [2, 3, 4, 16]), tensor("e.down_proj_scales", [2, 3, 4])]
    let read = try #require(try GPTOSSExperts().unpack(configuration: json, stored: whole))
    #expect(read.map(\.name) == ["e.down_proj"] && read[0].shape == [2, 3, 128])
    // 0x7f: the low nibble is -6, the high nibble 6.
    #expect(Array(read[0].matrix().values.prefix(2)) == [-6, 6])
    for broken in [
      [whole[0]], [whole[0], tensor("e.down_proj_scales", [2, 3, 3])], [tensor("e.down_proj_blocks", [2, 3, 4, 8]), whole[1]],
      [tensor("e.down_proj_blocks", [2, 3, Int.max, 16]), tensor("e.down_proj_scales", [2, 3, Int.max])],
      [tensor("e.down_proj_blocks", [2, 12, 16]), whole[1]],
    ] {
      #expect(throws: Failure.self) { try GPTOSSExperts().unpack(configuration: json, stored: broken) }
    }
    #expect(try GPTOSSExperts().unpack(configuration: .object([.init("quant_method", .string("fp8"))]), stored: whole) == nil)
  }
}
