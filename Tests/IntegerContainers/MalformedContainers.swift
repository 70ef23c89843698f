import AWQContainer
import CompressedTensors
import GPTQContainer
import QuantCore
import TestSupport
import Testing

@Suite struct MalformedContainers {
  private static let shape = [32, 64]

  private func layer(
    _ packing: any FolderPacking, _ name: String = "int4-g32-asym"
  ) throws -> (stored: [CheckpointTensor], configuration: JSON) {
    let scheme = try #require(IntegerSchemes.scheme(named: name, modelType: .f16))
    let stored = IntegerContainers.packed(packing, scheme, name: "m.0.q.weight", shape: MalformedContainers.shape) {
      scheme.emptyPanel(rows: $0.count, columns: MalformedContainers.shape[1])
    }
    let modules = [QuantizedModule(name: "m.0.q", scheme: scheme)]
    return (stored, try #require(try packing.configuration(modules: modules, unquantized: [])))
  }

  private func id(_ packing: any Unpacker, _ stored: [CheckpointTensor], _ configuration: JSON) -> String {
    do {
      _ = try packing.unpack(configuration: configuration, stored: stored)
      return "none"
    } catch {
      return (error as? Failure)?.id ?? "\(error)"
    }
  }

  private func changed(_ stored: [CheckpointTensor], _ suffix: String, shape: [Int], type: ElementType = .i32) -> [CheckpointTensor] {
    stored.map { tensor in
      guard tensor.name.hasSuffix(suffix) else { return tensor }
      let count = shape.reduce(1) { $0 &* $1 }
      let bytes = [UInt8](repeating: 255, count: count < 0 || count > 1 << 20 ? 0 : count * type.bitCount / 8)
      return CheckpointTensor(name: tensor.name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
    }
  }

  @Test func tensorsThatAreMissingOrOfAnotherShapeAreNamed() throws {
    let (stored, configuration) = try layer(GPTQVersion1())
    #expect(stored.map(\.shape) == [[8, 32], [2, 4], [2, 32], [64]])
    #expect(id(GPTQVersion1(), stored, configuration) == "none")
    for (missing, expected) in [("qweight", "packed.parts"), ("qzeros", "packed.parts"), ("scales", "packed.parts"), ("g_idx", "none")] {
      #expect(id(GPTQVersion1(), stored.filter { !$0.name.hasSuffix(missing) }, configuration) == expected)
    }
    for (suffix, shape, type, expected) in [
      ("qweight", [7, 32], .i32, "gptq.shape"), ("qweight", [8, 31], .i32, "gptq.scales"), ("qweight", [256], .i32, "gptq.parts"),
      ("qweight", [8, 32], .i64, "gptq.parts"), ("qweight", [8, 0], .i32, "gptq.shape"), ("qweight", [1 << 61, 0], .i32, "gptq.shape"),
      ("qzeros", [2, 3], .i32, "gptq.zero-points"), ("qzeros", [1, 4], .i32, "gptq.zero-points"), ("qzeros", [2, 4], .f32, "gptq.parts"),
      ("scales", [2, 31], .f16, "gptq.scales"), ("scales", [1, 32], .f16, "gptq.scales"), ("scales", [2, 32], .i16, "gptq.scales"),
      ("scales", [64], .f16, "gptq.parts"), ("g_idx", [63], .i32, "gptq.group-size"), ("g_idx", [64], .i64, "groups.index"),
      ("g_idx", [64], .i32, "groups.index"), ("g_idx", [], .i32, "groups.index"), ("g_idx", [128], .i32, "gptq.shape"),
    ] as [(String, [Int], ElementType, String)] {
      let parts = changed(stored, suffix, shape: shape, type: type)
      #expect(id(GPTQVersion1(), parts, configuration) == expected, "\(suffix) \(shape) \(type)")
    }
    let (awq, own) = try layer(AWQGEMM())
    #expect(id(AWQGEMM(), awq, own) == "none")
    for (suffix, shape, type, expected) in [
      ("qweight", [64, 3], .i32, "awq.shape"), ("qweight", [63, 4], .i32, "awq.group-size"), ("qweight", [32, 4], .i32, "awq.scales"),
      ("qweight", [64, 1 << 61], .i32, "awq.shape"), ("qzeros", [2, 8], .i32, "awq.zero-points"), ("qzeros", [2, 4], .u8, "awq.parts"),
      ("scales", [2, 24], .f16, "awq.shape"), ("scales", [2, 32], .i32, "awq.scales"), ("scales", [3, 32], .f16, "awq.scales"),
    ] as [(String, [Int], ElementType, String)] {
      #expect(id(AWQGEMM(), changed(awq, suffix, shape: shape, type: type), own) == expected, "\(suffix) \(shape) \(type)")
    }
  }

  @Test func configurationsThatContradictTheTensorsAreRefused() throws {
    let (stored, _) = try layer(GPTQVersion1())
    func gptq(_ members: String) throws -> String {
      id(GPTQVersion1(), stored, try JSON.parse(ByteView(Array(#"{"quant_method": "gptq", \#(members)}"#.utf8))))
    }
    #expect(try gptq(#""bits": 8, "group_size": 32"#) == "gptq.shape")
    #expect(try gptq(#""bits": 4, "group_size": 64"#) == "gptq.scales")
    #expect(try gptq(#""bits": 4, "group_size": 48"#) == "gptq.group-size")
    #expect(try gptq(#""bits": 4, "group_size": 0"#) == "gptq.config")
    #expect(try gptq(#""bits": 4"#) == "gptq.config")
    #expect(try gptq(#""bits": 5, "group_size": 32"#) == "gptq.bits")
    #expect(try gptq(#""bits": 4, "group_size": 32, "checkpoint_format": "marlin""#) == "gptq.format")
    #expect(try gptq(#""bits": 4, "group_size": 32, "is_marlin_format": true"#) == "gptq.format")
    #expect(try gptq(#""bits": 4, "group_size": 32, "pack_dtype": "int64""#) == "gptq.pack-type")
    #expect(try gptq(#""bits": 4, "group_size": 32, "dynamic": {"+:(": {}}"#) == "gptq.pattern")
    #expect(try gptq(#""bits": 4, "group_size": 9223372036854775807"#) == "gptq.group-size")
    let (packed, _) = try layer(AWQGEMM())
    func awq(_ members: String) throws -> String {
      id(AWQGEMM(), packed, try JSON.parse(ByteView(Array(#"{"quant_method": "awq", \#(members)}"#.utf8))))
    }
    #expect(try awq(#""bits": 4, "group_size": 32, "version": "gemv_fast""#) == "awq.version")
    #expect(try awq(#""bits": 8, "group_size": 32"#) == "awq.bits")
    #expect(try awq(#""bits": 4, "group_size": 32, "zero_point": false"#) == "awq.zero-point")
    #expect(try awq(#""bits": 4, "group_size": 48"#) == "awq.group-size")
    #expect(try awq(#""bits": 4, "group_size": -2"#) == "awq.config")
    #expect(try awq(#""bits": 4, "group_size": 32, "modules_to_not_convert": ["q"]"#) == "awq.ignored")
    let plain = CheckpointTensor(name: "m.0.q.weight", shape: [1], storage: PlainStorage(.f32, ByteView([0, 0, 0, 0])))
    let configuration = try JSON.parse(ByteView(Array(#"{"quant_method": "gptq", "bits": 4, "group_size": 32}"#.utf8)))
    #expect(id(GPTQVersion1(), [plain], configuration) == "packed.none")
  }

  @Test func groupsThatAColumnCannotBelongToAreRefused() throws {
    for packing: any FolderPacking & Unpacker in [GPTQVersion1(), PackQuantized()] {
      var (stored, configuration) = try layer(packing)
      func indices(_ values: [UInt32]) -> CheckpointTensor {
        let name = packing is PackQuantized ? "m.0.q.weight_g_idx" : "m.0.q.g_idx"
        return CheckpointTensor(name: name, shape: [values.count], storage: PlainStorage(.i32, ByteView(values.littleEndianBytes)))
      }
      stored.removeAll { $0.name.hasSuffix("g_idx") }
      #expect(id(packing, stored + [indices((0..<64).map { $0 == 9 ? 2 : 0 })], configuration) == "groups.index")
      #expect(id(packing, stored + [indices((0..<64).map { $0 == 9 ? .max : 0 })], configuration) == "groups.index")
      let ordered = try #require(
        try packing.unpack(configuration: configuration, stored: stored + [indices((0..<64).map { UInt32($0 % 2) })])?.first)
      #expect(!(ordered.storage is any QuantizedStorage) && ordered.storage.isNumeric)
      let plain = try #require(
        try packing.unpack(configuration: configuration, stored: stored + [indices((0..<64).map { UInt32($0 / 32) })])?.first)
      #expect(plain.storage is any QuantizedStorage)
    }
  }

  @Test func brokenPartsOfCompressedTensorsAreNamed() throws {
    let (stored, configuration) = try layer(PackQuantized(), "int3-g32-asym")
    #expect(id(PackQuantized(), stored, configuration) == "none")
    for (suffix, shape, type, expected) in [
      ("_packed", [32, 5], .i32, "ct.shape"), ("_packed", [32, 6], .f32, "ct.shape"), ("_scale", [32, 1], .f16, "ct.scales"),
      ("_scale", [32, 2], .u8, "ct.scales"), ("_zero_point", [2, 2], .i32, "ct.zero-points"),
      ("_zero_point", [32, 1], .i8, "ct.zero-points"),
      ("_shape", [1], .i64, "ct.shape"), ("_shape", [2], .i64, "ct.shape"), ("_shape", [2], .i32, "ct.shape"),
    ] as [(String, [Int], ElementType, String)] {
      let parts = changed(stored, suffix, shape: shape, type: type)
      #expect(id(PackQuantized(), parts, configuration) == expected, "\(suffix) \(shape) \(type)")
    }
    let text = configuration.text()
    for (old, new, expected) in [
      (#""num_bits":3"#, #""num_bits":9"#, "ct.shape"), (#""group_size":32"#, #""group_size":24"#, "ct.group-size"),
      (#""pack-quantized""#, #""mixed-precision""#, "none"), (#""targets":["Linear"]"#, #""targets":["re:("]"#, "ct.pattern"),
    ] {
      let changed = String(text.split(separator: old, maxSplits: 1).joined(separator: new))
      #expect(changed != text)
      #expect(id(PackQuantized(), stored, try JSON.parse(ByteView(Array(changed.utf8)))) == expected, "\(new)")
    }
  }
}
