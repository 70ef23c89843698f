import CompressedTensors
import QuantCore
import TestSupport
import Testing

private let packing = FloatQuantized()
private let name = "model.layers.0.x.weight"

private func weights(_ rows: Int, _ columns: Int) -> Matrix {
  Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { Float(($0 * 7919) % 1009 - 504) / 4096 })
}

/// The stored tensors of one matrix, packed `piece` rows at a time.
private func stored(_ scheme: any Scheme, _ matrix: Matrix, piece: Int) -> [CheckpointTensor] {
  let scheme = scheme.fittedToTensor(largestMagnitude: matrix.values.map { abs($0) }.max() ?? 0)
  let shape = [matrix.rows, matrix.columns]
  var bytes: [[UInt8]] = [[], []]
  for start in stride(from: 0, to: matrix.rows, by: piece) {
    let rows = start..<min(start + piece, matrix.rows)
    var panel = scheme.emptyPanel(rows: rows.count, columns: matrix.columns)
    matrix.withPanel(rows: rows) { scheme.encode($0, importance: nil, into: &panel) }
    bytes = zip(bytes, packing.pack(panel, rows: rows, of: shape, scheme: scheme)).map { $0 + $1 }
  }
  return zip(packing.parts(name: name, shape: shape, scheme: scheme), bytes).compactMap { part, bytes in
    guard case .element(let type) = part.type else { return nil }
    #expect(part.byteCount == bytes.count)
    return CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(type, ByteView(bytes)))
  }
}

private func configuration(_ scheme: any Scheme, _ activations: ActivationScheme? = nil) throws -> JSON {
  let module = QuantizedModule(name: "model.layers.0.x", scheme: scheme, activations: activations)
  return try #require(try packing.configuration(modules: [module], unquantized: ["lm_head"]))
}

@Test func unpackedFP8WeightsAreThoseOfTheScheme() throws {
  let expected: [(name: String, piece: Int, scales: [Int])] = [
    ("fp8-channel", 5, [20, 1]), ("fp8-tensor", 7, [1]), ("fp8-block8", 8, [3, 3]), ("fp8-block128", 128, [1, 1]),
  ]
  let matrix = weights(20, 18)
  let other = CheckpointTensor(name: "norm.weight", shape: [1], storage: PlainStorage(.f32, ByteView([0, 0, 128, 63])))
  for type in [ElementType.bf16, .f16, .f32] {
    for entry in expected {
      let scheme = try #require(Float8Schemes.scheme(named: entry.name, modelType: type))
      #expect(packing.holds(scheme.grid))
      let parts = stored(scheme, matrix, piece: entry.piece)
      #expect(parts.map(\.name) == [name, name + "_scale"] && parts.map(\.shape) == [[20, 18], entry.scales])
      let unpacked = try #require(try packing.unpack(configuration: configuration(scheme), stored: parts + [other]))
      #expect(unpacked.map(\.name) == [name, "norm.weight"] && unpacked[0].shape == [20, 18])
      #expect(unpacked[0].storage.schemeName == entry.name)
      let values = matrix.withPanel { scheme.roundTrip($0) }
      #expect(unpacked[0].matrix().values == values)
      var rows = [Float](repeating: 0, count: 3 * 18)
      unpacked[0].decode(rows: 9..<12, into: &rows)
      #expect(rows == Array(values[9 * 18..<12 * 18]))
    }
  }
}

@Test func groupsKeepTheirScalesInTheModelsType() throws {
  let matrix = weights(20, 18)
  for rule in ["", "-e8m0", "-ratio"] {
    let named = try #require(GroupedFloatSchemes.scheme(named: "fp8-g6" + rule, modelType: .bf16))
    let scheme = packing.stored(named)
    #expect(packing.holds(scheme.grid) && packing.holds(scheme.grid, activations: .fp8Token) && scheme.name == named.name)
    let parts = stored(scheme, matrix, piece: 7)
    #expect(parts.map(\.shape) == [[20, 18], [20, 3]] && parts.map(\.storage.schemeName) == ["f8_e4m3", "bf16"])
    let json = try configuration(scheme)
    #expect(
      json["config_groups"]?["group_0"]?["weights"]?.text()
        == #"{"num_bits":8,"type":"float","symmetric":true,"strategy":"group","group_size":6}"#)
    let unpacked = try #require(try packing.unpack(configuration: json, stored: parts))
    let fitted = scheme.fittedToTensor(largestMagnitude: matrix.values.map { abs($0) }.max() ?? 0)
    #expect(unpacked[0].matrix().values == matrix.withPanel { fitted.roundTrip($0) })
  }
}

/// FP4 in groups of 32 with powers of two is MXFP4; everything else of its kind has no container.
@Test func fp4IsPackedAsMXFP4OnlyWithItsGrid() throws {
  let held = ["e2m1-g32-e8m0", "e2m1-g32", "e2m1-g64-e8m0", "e3m0-g32-e8m0", "fp8-g32-e8m0", "e2m1-g32-ratio"].filter { name in
    GroupedFloatSchemes.scheme(named: name, modelType: .bf16).map { MXFP4PackQuantized().holds($0.grid) } == true
  }
  #expect(held == ["e2m1-g32-e8m0"])
  let grid = try #require(GroupedFloatSchemes.scheme(named: held[0], modelType: .bf16)).grid
  #expect(MXFP4PackQuantized().holds(grid, activations: .fp8Token) && !MXFP4PackQuantized().holds(grid, activations: .int8Token))
  let eight = try #require(GroupedFloatSchemes.scheme(named: "fp8-g32-e8m0", modelType: .bf16))
  #expect(MXFP8Quantized().holds(eight.grid))
}

@Test func otherFloatsAreNotPackedAsE4M3() throws {
  let wide = try #require(Float8Scheme(.e5m2, level: .channel, modelType: .bf16))
  let integers = try #require(IntegerScheme(bits: 8, groupLength: nil, isSymmetric: true, modelType: .bf16))
  #expect(!packing.holds(wide.grid) && !packing.holds(integers.grid) && !packing.holds(FloatScheme.bf16.grid))
  let narrow = try #require(Float8Scheme(.e4m3, level: .channel, modelType: .bf16))
  #expect(!IntQuantized().holds(narrow.grid) && !PackQuantized().holds(narrow.grid) && !PlainPacking().holds(narrow.grid))
}

@Test func fp8ConfigurationSaysHowInputsAreRounded() throws {
  let channel = try #require(Float8Scheme(.e4m3, level: .channel, modelType: .bf16))
  let block = try #require(Float8Scheme(.e4m3, level: .block(128), modelType: .bf16))
  #expect(
    try configuration(channel, .fp8Token).text()
      == #"{"quant_method":"compressed-tensors","format":"float-quantized","quantization_status":"compressed","#
      + #""config_groups":{"group_0":{"targets":["Linear"],"weights":{"num_bits":8,"type":"float","symmetric":true,"#
      + #""strategy":"channel"},"input_activations":{"num_bits":8,"type":"float","symmetric":true,"dynamic":true,"#
      + #""strategy":"token"}}},"ignore":["lm_head"]}"#)
  #expect(
    try configuration(block, .fp8Group128)["config_groups"]?.text()
      == #"{"group_0":{"targets":["Linear"],"weights":{"num_bits":8,"type":"float","symmetric":true,"#
      + #""strategy":"block","block_structure":[128,128]},"input_activations":{"num_bits":8,"type":"float","symmetric":true,"#
      + #""dynamic":true,"strategy":"group","group_size":128}}}"#)
  #expect(try configuration(channel)["config_groups"]?["group_0"]?["input_activations"] == nil)
  let mixed = try packing.configuration(
    modules: [.init(name: "a", scheme: channel, activations: .fp8Token), .init(name: "b", scheme: channel)], unquantized: [])
  #expect(mixed?["config_groups"]?["group_0"]?["targets"] == .array([.string("a")]))
  #expect(mixed?["config_groups"]?["group_1"]?["targets"] == .array([.string("b")]))
}

@Test func scalesOfInputsAreLeftOut() throws {
  let scheme = try #require(Float8Schemes.scheme(named: "fp8-tensor", modelType: .bf16))
  func scalar(_ name: String) -> CheckpointTensor {
    CheckpointTensor(name: name, shape: [1], storage: PlainStorage(.bf16, ByteView([0, 0])))
  }
  let parts = stored(scheme, weights(4, 4), piece: 4)
  let extra = [scalar("model.layers.0.x.input_scale"), scalar("model.layers.0.y.input_scale")]
  let unpacked = try packing.unpack(configuration: configuration(scheme), stored: extra + parts)
  #expect(unpacked?.map(\.name) == ["model.layers.0.y.input_scale", name])
}

@Test func brokenFP8PartsAreRefusedByName() throws {
  for schemeName in ["fp8-channel", "fp8-block4", "fp8-tensor"] {
    let scheme = try #require(Float8Schemes.scheme(named: schemeName, modelType: .bf16))
    let json = try configuration(scheme)
    let whole = stored(scheme, weights(8, 12), piece: 8)
    func refuses(_ parts: [CheckpointTensor]) {
      let failure = #expect(throws: Failure.self) { try packing.unpack(configuration: json, stored: parts) }
      #expect(failure?.tensor == name)
    }
    func replaced(_ index: Int, _ shape: [Int], _ type: ElementType) -> [CheckpointTensor] {
      var parts = whole
      let bytes = [UInt8](repeating: 1, count: Checked.product(of: [type.bitCount / 8] + shape) ?? 96)
      parts[index] = CheckpointTensor(name: parts[index].name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
      return parts
    }
    refuses([whole[1]])
    refuses(replaced(0, [8, 12], .i8))
    refuses(replaced(0, [96], .f8e4m3))
    refuses(replaced(0, [0, 12], .f8e4m3))
    refuses(replaced(0, [Int.max, 2], .f8e4m3))
    refuses(replaced(1, [2], .bf16))
    refuses(replaced(1, [8, 1], .u8))
  }
}

@Test func fp8ConfigurationsThatAreNotReadAreRefused() throws {
  let scheme = try #require(Float8Schemes.scheme(named: "fp8-channel", modelType: .bf16))
  let parts = stored(scheme, weights(8, 12), piece: 8)
  let known = try configuration(scheme).text()
  for (old, new) in [
    (#""strategy":"channel""#, #""strategy":"group","group_size":4"#), (#""strategy":"channel""#, #""strategy":"block""#),
    (#""strategy":"channel""#, #""strategy":"block","block_structure":[4,8]"#), (#""num_bits":8"#, #""num_bits":4"#),
    (#""type":"float""#, #""type":"int""#), (#""symmetric":true"#, #""symmetric":false"#),
    (#""strategy":"channel""#, #""strategy":"block","block_structure":[9223372036854775807,9223372036854775807]"#),
  ] {
    let text = String(known.split(separator: old, maxSplits: 1).joined(separator: new))
    #expect(text != known)
    let json = try JSON.parse(ByteView(Array(text.utf8)))
    #expect(throws: Failure.self) { try packing.unpack(configuration: json, stored: parts) }
  }
}
