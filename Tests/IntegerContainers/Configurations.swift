import AWQContainer
import CompressedTensors
import GPTQContainer
import QuantCore
import TestSupport
import Testing

@Suite struct Configurations {
  private func scheme(_ name: String, _ type: ElementType = .f16) throws -> any Scheme {
    try #require(IntegerSchemes.scheme(named: name, modelType: type))
  }

  /// A packed matrix of zeros; its content does not matter here.
  private func layer(_ packing: any Packing, _ scheme: any Scheme, _ name: String, _ shape: [Int] = [32, 64]) -> [CheckpointTensor] {
    IntegerContainers.packed(packing, scheme, name: name + ".weight", shape: shape) {
      var panel = scheme.emptyPanel(rows: $0.count, columns: shape[1])
      for index in panel.parameters.indices { panel.parameters[index] = 1 }
      return panel
    }
  }

  private func json(_ text: String) throws -> JSON { try JSON.parse(ByteView(Array(text.utf8))) }

  @Test func gptqHasTheKeysThatEveryClientNeeds() throws {
    let modules = try ["a.0.q", "a.0.k"].map { QuantizedModule(name: $0, scheme: try scheme("int4-g128")) }
    let plain = try GPTQVersion1().configuration(modules: modules, unquantized: ["lm_head"])?.text()
    #expect(
      plain == #"{"quant_method":"gptq","bits":4,"group_size":128,"sym":true,"desc_act":false,"lm_head":false,"checkpoint_format":"gptq"}"#)
    let mixed = try GPTQVersion2().configuration(
      modules: modules + [.init(name: "a.0.v", scheme: try scheme("int8-channel-asym"))], unquantized: ["a.0.o", "lm_head"])
    #expect(mixed?["checkpoint_format"] == .string("gptq_v2"))
    #expect(
      mixed?["dynamic"]?.text() == #"{"+:^(.*\\.)?v$":{"bits":8,"group_size":-1,"sym":false},"-:^(.*\\.)?o$":{}}"#)
  }

  @Test func awqHasTheKeysThatEveryClientNeeds() throws {
    let modules = try ["a.0.q", "a.0.k"].map { QuantizedModule(name: $0, scheme: try scheme("int4-g128-asym")) }
    #expect(
      try AWQGEMM().configuration(modules: modules, unquantized: ["lm_head"])?.text()
        == #"{"quant_method":"awq","bits":4,"group_size":128,"zero_point":true,"version":"gemm","modules_to_not_convert":null}"#)
    let left = try AWQGEMM().configuration(modules: modules, unquantized: ["a.0.o", "lm_head"])
    #expect(left?["modules_to_not_convert"] == .array([.string("a.0.o"), .string(#"(.*\.)?o$"#)]))
    let other = QuantizedModule(name: "a.0.v", scheme: try scheme("int4-g64-asym"))
    #expect(throws: Failure.self) { try AWQGEMM().configuration(modules: modules + [other], unquantized: []) }
  }

  @Test func packingsKeepScalesInF16ForEveryTypeOfModel() throws {
    for packing: any Packing in [GPTQVersion1(), GPTQVersion2(), AWQGEMM()] {
      let asked = try scheme("int4-g32-asym", .bf16)
      let stored = packing.stored(asked)
      #expect(!packing.holds(asked.grid) && packing.holds(stored.grid) && stored.name == asked.name)
    }
    let weights = Matrix(rows: 1, columns: 32, values: (0..<32).map { Float($0) * 0.0173 - 0.2 })
    let stored = try #require(GPTQVersion1().stored(scheme("int4-g32", .bf16)) as? IntegerScheme)
    var panel = stored.emptyPanel(rows: 1, columns: 32)
    weights.withPanel { stored.encode($0, importance: nil, into: &panel) }
    #expect(panel.parameters == [Float(Float16((31 * Float(0.0173) - 0.2) / 7.5))])
  }

  @Test func shapesThatDoNotFillWordsAreNamed() throws {
    #expect(GPTQVersion1().obstacle(shape: [32, 64], scheme: try scheme("int3-g32")) == nil)
    #expect(GPTQVersion1().obstacle(shape: [20, 64], scheme: try scheme("int3-g32")) == "20 rows are not a multiple of 32")
    #expect(GPTQVersion1().obstacle(shape: [24, 36], scheme: try scheme("int4-g4")) == "36 columns are not a multiple of 8")
    #expect(AWQGEMM().obstacle(shape: [20, 64], scheme: try scheme("int4-g32-asym")) == "20 rows are not a multiple of 8")
    #expect(PackQuantized().caution(try scheme("int3-g32"))?.contains("0.18") == true)
    #expect(PackQuantized().caution(try scheme("int4-g32")) == nil)
    #expect(GPTQVersion1().caution(try scheme("int4-g32-asym"))?.contains("GPTQModel") == true)
  }

  @Test func modulesOfAGPTQFolderMayDiffer() throws {
    let (four, eight) = (try scheme("int4-g32"), try scheme("int8-channel-asym"))
    let stored = layer(GPTQVersion1(), four, "m.0.q") + layer(GPTQVersion1(), eight, "m.0.v")
    let text = """
      {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": true, "desc_act": true, "checkpoint_format": "gptq",
       "dynamic": {"+:m\\\\.[0-9]+\\\\.v": {"bits": 8, "group_size": -1, "sym": false}, "-:m.0.x": {}, "m.0.v": {"bits": 2}}}
      """
    let read = try #require(try GPTQVersion1().unpack(configuration: json(text), stored: stored))
    #expect(read.map(\.name) == ["m.0.q.weight", "m.0.v.weight"])
    #expect(read.map(\.storage.schemeName) == ["int4-g32", "int8-channel-asym"])
    #expect(try GPTQVersion2().unpack(configuration: json(text), stored: stored) == nil)
    #expect(try AWQGEMM().unpack(configuration: json(text), stored: stored) == nil)
    let ignored = layer(GPTQVersion1(), four, "m.0.x")
    let failure = #expect(throws: Failure.self) { try GPTQVersion1().unpack(configuration: json(text), stored: stored + ignored) }
    #expect(failure?.id == "gptq.ignored")
  }

  @Test(arguments: [
    #"{"bits": 4, "group_size": 32, "damp_percent": 0.01, "desc_act": false, "sym": true, "true_sequential": true}"#,
    #"{"quant_method": "auto-round", "packing_format": "auto_round:auto_gptq", "bits": 4, "group_size": 32, "sym": true}"#,
    #"{"quant_method": "gptq", "bits": 4, "group_size": 32}"#,
  ]) func otherFormsOfTheConfigurationAreRead(_ text: String) throws {
    var stored = layer(GPTQVersion1(), try scheme("int4-g32"), "m.0.q")
    stored.removeAll { $0.name.hasSuffix("g_idx") }
    let read = try GPTQVersion1().unpack(configuration: json(text), stored: stored)
    #expect(read?.map(\.storage.schemeName) == ["int4-g32"])
  }

  @Test(arguments: [
    #"{"w_bit": 4, "q_group_size": 32, "zero_point": true, "version": "GEMM"}"#,
    #"{"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": true, "version": "gemm", "modules_to_not_convert": ["m.0.o"]}"#,
    #"{"quant_method": "auto-round", "packing_format": "auto_round:auto_awq", "bits": 4, "group_size": 32, "sym": false}"#,
  ]) func formsOfAWQsConfigurationAreRead(_ text: String) throws {
    let stored = layer(AWQGEMM(), try scheme("int4-g32-asym"), "m.0.q")
    #expect(try AWQGEMM().unpack(configuration: json(text), stored: stored)?.map(\.storage.schemeName) == ["int4-g32-asym"])
    #expect(try GPTQVersion1().unpack(configuration: json(text), stored: stored) == nil)
  }

  /// The zero points of a symmetric v2 checkpoint, read as v1, are 9: clients that use zero points compute with that.
  @Test func zeroPointsThatAreMislabelledAreUsedAsTheyAre() throws {
    let stored = layer(GPTQVersion2(), try scheme("int4-g32"), "m.0.q")
    let text = #"{"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": true, "checkpoint_format": "gptq"}"#
    let read = try #require(try GPTQVersion1().unpack(configuration: json(text), stored: stored)?.first)
    #expect(read.storage.schemeName == "int4-g32-asym")
    #expect(read.matrix().values.allSatisfy { $0 == -1 })
  }

  @Test(arguments: ["int2-g32", "int3-g32", "int4-g32", "int8-g32"]) func mislabelledZeroPointsAreFound(_ name: String) throws {
    func finding(_ packing: any Packing, _ format: String, _ scheme: String) throws -> String? {
      let stored = layer(packing, try self.scheme(scheme), "m.0.q")
      let bits = Int(try self.scheme(scheme).grid.codeBits)
      let text = #"{"quant_method": "gptq", "bits": \#(bits), "group_size": 32, "sym": true, "checkpoint_format": "\#(format)"}"#
      let reader: any Unpacker = format == "gptq" ? GPTQVersion1() : GPTQVersion2()
      let found = reader.findings(configuration: try json(text), stored: stored)
      #expect(found.allSatisfy { $0.tensor == "m.0.q.qzeros" && $0.severity == .error } && found.count < 2)
      return found.first?.id
    }
    #expect(try finding(GPTQVersion1(), "gptq", name) == nil)
    #expect(try finding(GPTQVersion2(), "gptq_v2", name) == nil)
    #expect(try finding(GPTQVersion2(), "gptq", name) == "gptq.zeros-label")
    #expect(try finding(GPTQVersion1(), "gptq_v2", name) == "gptq.zeros-label")
    // All zero points are 1 here, which for 2 bits is the middle minus one.
    #expect(try finding(GPTQVersion2(), "gptq_v2", name + "-asym") == (name == "int2-g32" ? "gptq.zeros-label" : "gptq.zeros-symmetric"))
  }

  @Test func biasesOfZerosThatOnlyTheWriterAddedAreDropped() throws {
    let packed = try ["m.0.q", "m.0.k"].flatMap { layer(GPTQVersion1(), try scheme("int4-g32"), $0) }
    func bias(_ name: String, _ value: UInt8) -> CheckpointTensor {
      CheckpointTensor(name: name, shape: [32], storage: PlainStorage(.f16, ByteView([UInt8](repeating: value, count: 64))))
    }
    let text = #"{"quant_method": "gptq", "bits": 4, "group_size": 32}"#
    func names(_ biases: [CheckpointTensor]) throws -> [String]? {
      try GPTQVersion1().unpack(configuration: json(text), stored: packed + biases)?.map(\.name)
    }
    #expect(try names([bias("m.0.q.bias", 0), bias("m.0.k.bias", 0)]) == ["m.0.q.weight", "m.0.k.weight"])
    #expect(try names([bias("m.0.q.bias", 0), bias("m.0.k.bias", 1)])?.count == 4)
    #expect(try names([bias("m.0.q.bias", 0)])?.count == 3)
  }

  @Test func severalPackingsOfCompressedTensorsFitInOneFolder() throws {
    let (four, eight) = (try scheme("int4-g32", .bf16), try scheme("int8-channel", .bf16))
    let modules = [
      QuantizedModule(name: "m.0.q", scheme: four, packing: PackQuantized.id),
      QuantizedModule(name: "m.0.v", scheme: eight, activations: .int8Token, packing: IntQuantized.id),
    ]
    let configuration = try #require(try PackQuantized().configuration(modules: modules, unquantized: ["lm_head"]))
    #expect(configuration["format"] == .string("mixed-precision"))
    #expect(configuration["config_groups"]?["group_1"]?["format"] == .string("int-quantized"))
    #expect(PackQuantized().configurationKind == IntQuantized().configurationKind)
    let stored = layer(PackQuantized(), four, "m.0.q") + layer(IntQuantized(), eight, "m.0.v")
    let read = try PackQuantized().unpack(configuration: configuration, stored: stored)
    #expect(read?.map(\.storage.schemeName) == ["int4-g32", "int8-channel"])
    #expect(try IntQuantized().unpack(configuration: configuration, stored: stored) == nil)
    #expect(try PackQuantized().activations(configuration: configuration, stored: stored).inputs == ["m.0.v": .init(.int8Token)])
  }

  @Test func aModuleBelongsToTheGroupThatNamesItMostClosely() throws {
    let stored = try [("m.0.q", "int4-g32"), ("m.1.q", "int4-g64"), ("m.1.k", "int8-channel"), ("m.2.k", "int4-channel")].flatMap {
      layer(PackQuantized(), try scheme($0.1, .bf16), $0.0)
    }
    func weights(_ bits: Int, _ length: Int?) -> String {
      length.map { #"{"num_bits": \#(bits), "type": "int", "strategy": "group", "group_size": \#($0)}"# }
        ?? #"{"num_bits": \#(bits), "type": "int", "strategy": "channel"}"#
    }
    func configuration(ignore: String) throws -> JSON {
      try json(
        """
        {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": [\(ignore)], "config_groups": {
         "a": {"targets": ["Linear"], "weights": \(weights(4, nil))},
         "b": {"targets": ["re:m.*q"], "weights": \(weights(4, 64))},
         "c": {"targets": ["re:m\\\\.1\\\\."], "weights": \(weights(8, nil))},
         "d": {"targets": ["m.0.q"], "weights": \(weights(4, 32))}}}
        """)
    }
    // Patterns are tried in the order of their text, anchored at the start of the name: '.' sorts before a backslash.
    let read = try PackQuantized().unpack(configuration: configuration(ignore: #""re:.*head", "m.9""#), stored: stored)
    #expect(read?.map(\.storage.schemeName) == ["int4-g32", "int4-g64", "int8-channel", "int4-channel"])
    for ignored in [#""m.1.k""#, #""re:.*1.k""#] {
      let failure = #expect(throws: Failure.self) {
        try PackQuantized().unpack(configuration: configuration(ignore: ignored), stored: stored)
      }
      #expect(failure?.id == "ct.ignored" && failure?.tensor == "m.1.k.weight")
    }
  }

  @Test func integersOfOneScaleAndBytesWithZeroPointsAreRead() throws {
    func tensor(_ suffix: String, _ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) -> CheckpointTensor {
      CheckpointTensor(name: "m.0.q.weight" + suffix, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
    }
    func read(_ strategy: String, _ scales: CheckpointTensor, _ zeros: CheckpointTensor? = nil) throws -> CheckpointTensor? {
      let configuration = try json(
        """
        {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"a": {"targets": ["Linear"], "weights":
         {"num_bits": 8, "type": "int", "strategy": \(strategy), "symmetric": \(zeros == nil)}}}}
        """)
      let codes = tensor("", .i8, [2, 2], [1, 255, 127, 128])
      return try IntQuantized().unpack(configuration: configuration, stored: [codes, scales] + [zeros].compactMap { $0 })?.first
    }
    #expect(try read(#""tensor""#, tensor("_scale", .bf16, [1], [0, 64]))?.matrix().values == [2, -2, 254, -256])
    let scales = tensor("_scale", .bf16, [2, 1], [0, 64, 128, 63])
    #expect(try read(#""channel""#, scales)?.matrix().values == [2, -2, 127, -128])
    let shifted = try #require(try read(#""channel""#, scales, tensor("_zero_point", .i8, [2, 1], [1, 254])))
    #expect(shifted.matrix().values == [0, -4, 129, -126])
    #expect(shifted.storage.schemeName == "int8-channel-asym")
    #expect(throws: Failure.self) { try read(#""channel""#, scales, tensor("_zero_point", .i8, [2], [1, 254])) }
    #expect(throws: Failure.self) { try read(#""tensor""#, scales) }
  }

  /// Versions before 0.18 put only whole codes into each word.
  @Test func codesWithGapsAreReadByTheirShape() throws {
    let four = try scheme("int3-channel", .bf16)
    var stored = layer(PackQuantized(), four, "m.0.q", [1, 64])
    let layout = WordLayout(bits: 3, isDense: false)
    var words = [UInt32](repeating: 0, count: layout.words(for: 64))
    for column in 0..<64 { layout.set(UInt32(column % 8), at: column, in: &words, first: 0) }
    #expect(words.count == 7 && words[0] & 0x3fff_ffff == words[0])
    stored[0] = CheckpointTensor(name: stored[0].name, shape: [1, 7], storage: PlainStorage(.i32, ByteView(words.littleEndianBytes)))
    let read = try IntegerContainers.unpacked(PackQuantized(), stored, name: "m.0.q.weight", scheme: four)
    #expect(read.matrix().values == (0..<64).map { Float($0 % 8 - 4) })
  }
}
