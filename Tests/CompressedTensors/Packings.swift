import CompressedTensors
import QuantCore
import TestSupport
import Testing

/// Packed words that compressed-tensors computed (Tests/Fixtures/compressed-tensors/make.py).
private struct OracleCase {
  var scheme: IntegerScheme
  var weights: Matrix
  var packed: [UInt8]
  var zeros: [UInt8]

  static func load() -> [OracleCase] {
    let bytes = readFile(SharedData.fixture("compressed-tensors/cases.bin"))
    var position = 0
    func word() -> UInt32 {
      defer { position += 4 }
      return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt32.self) }
    }
    func run() -> [UInt8] {
      let count = 4 * Int(word())
      defer { position += count }
      return Array(bytes[position..<position + count])
    }
    var cases: [OracleCase] = []
    while position < bytes.count {
      let type: ElementType = [.bf16, .f16, .f32][Int(word())]
      let bits = Int(word()), group = Int(word()), isSymmetric = word() == 1, rows = Int(word()), columns = Int(word())
      let tiles = rows * (group == 0 ? 1 : columns / group)
      let weights = (0..<rows * columns).map { _ in Float(bitPattern: word()) }
      position += 4 * (2 * tiles + rows * columns)
      let (packed, zeros) = (run(), run())
      if let scheme = IntegerScheme(bits: bits, groupLength: group == 0 ? nil : group, isSymmetric: isSymmetric, modelType: type) {
        let matrix = Matrix(rows: rows, columns: columns, values: weights)
        cases.append(OracleCase(scheme: scheme, weights: matrix, packed: packed, zeros: zeros))
      }
    }
    return cases
  }

  func encoded() -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: weights.rows, columns: weights.columns)
    weights.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    return panel
  }
}

@Test func packedWordsEqualThoseOfCompressedTensors() {
  let cases = OracleCase.load()
  #expect(cases.count == 72)
  for oracle in cases {
    let shape = [oracle.weights.rows, oracle.weights.columns]
    let parts = PackQuantized().parts(name: "x.weight", shape: shape, scheme: oracle.scheme)
    let bytes = PackQuantized().pack(oracle.encoded(), rows: 0..<shape[0], of: shape, scheme: oracle.scheme)
    #expect(PackQuantized().holds(oracle.scheme.grid))
    #expect(parts.map(\.byteCount) == bytes.map(\.count))
    #expect(bytes[0] == oracle.packed, "codes of \(oracle.scheme.name)")
    if !oracle.scheme.isSymmetric { #expect(bytes[2] == oracle.zeros, "zero points of \(oracle.scheme.name)") }
    #expect(parts.map(\.name).first == "x.weight_packed" && parts.map(\.name).last == "x.weight_shape")
  }
}

/// The stored tensors of one matrix, packed in panels of `rowMultiple` rows.
private func stored(_ packing: some Packing, _ oracle: OracleCase) -> [CheckpointTensor] {
  let shape = [oracle.weights.rows, oracle.weights.columns]
  var bytes: [[UInt8]] = []
  for start in stride(from: 0, to: shape[0], by: packing.rowMultiple) {
    let rows = start..<min(start + packing.rowMultiple, shape[0])
    var panel = oracle.scheme.emptyPanel(rows: rows.count, columns: shape[1])
    oracle.weights.withPanel(rows: rows) { oracle.scheme.encode($0, importance: nil, into: &panel) }
    let pieces = packing.pack(panel, rows: rows, of: shape, scheme: oracle.scheme)
    bytes = bytes.isEmpty ? pieces : zip(bytes, pieces).map { $0 + $1 }
  }
  return zip(packing.parts(name: "model.layers.0.x.weight", shape: shape, scheme: oracle.scheme), bytes).compactMap { part, bytes in
    guard case .element(let type) = part.type else { return nil }
    return CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(type, ByteView(bytes)))
  }
}

private func check(_ packing: some FolderPacking & Unpacker, _ oracle: OracleCase) throws {
  let modules = [QuantizedModule(name: "model.layers.0.x", scheme: oracle.scheme)]
  let configuration = try #require(try packing.configuration(modules: modules, unquantized: ["lm_head"]))
  let other = CheckpointTensor(name: "norm.weight", shape: [1], storage: PlainStorage(.f32, ByteView([0, 0, 128, 63])))
  let unpacked = try #require(try packing.unpack(configuration: configuration, stored: stored(packing, oracle) + [other]))
  #expect(unpacked.map(\.name) == ["model.layers.0.x.weight", "norm.weight"])
  #expect(unpacked[0].shape == [oracle.weights.rows, oracle.weights.columns])
  #expect(unpacked[0].storage.schemeName == oracle.scheme.name)
  #expect(unpacked[0].matrix().values == oracle.weights.withPanel { oracle.scheme.roundTrip($0) })
}

@Test func unpackedWeightsAreThoseOfTheScheme() throws {
  for oracle in OracleCase.load() {
    try check(PackQuantized(), oracle)
    if IntQuantized().holds(oracle.scheme.grid) { try check(IntQuantized(), oracle) }
  }
}

@Test func zeroPointsOfManyRowsArePackedInStepsOfWords() throws {
  let scheme = try #require(IntegerScheme(bits: 4, groupLength: 16, isSymmetric: false, modelType: .f32))
  let values = (0..<20 * 32).map { Float(($0 * 7919) % 101) - 30 }
  try check(PackQuantized(), OracleCase(scheme: scheme, weights: Matrix(rows: 20, columns: 32, values: values), packed: [], zeros: []))
}

@Test func configurationHasOnlyKeysThatAllClientsKnow() throws {
  let four = try #require(IntegerScheme(bits: 4, groupLength: 128, isSymmetric: true, modelType: .bf16))
  let eight = try #require(IntegerScheme(bits: 8, groupLength: nil, isSymmetric: true, modelType: .bf16))
  let one = try PackQuantized().configuration(
    modules: [.init(name: "a", scheme: four), .init(name: "b", scheme: four)], unquantized: ["lm_head"])
  #expect(
    one?.text() == #"{"quant_method":"compressed-tensors","format":"pack-quantized","quantization_status":"compressed","#
      + #""config_groups":{"group_0":{"targets":["Linear"],"weights":{"num_bits":4,"type":"int","symmetric":true,"#
      + #""strategy":"group","group_size":128}}},"ignore":["lm_head"]}"#)
  let two = try PackQuantized().configuration(modules: [.init(name: "a", scheme: four), .init(name: "b", scheme: eight)], unquantized: [])
  #expect(two?["config_groups"]?["group_1"]?["targets"] == .array([.string("b")]))
  #expect(two?["config_groups"]?["group_1"]?["weights"]?["strategy"] == .string("channel"))
}

@Test func brokenPartsAreRefusedByName() throws {
  let oracle = try #require(OracleCase.load().first { !$0.scheme.isSymmetric && $0.scheme.bits == 4 })
  let packing = PackQuantized()
  let modules = [QuantizedModule(name: "model.layers.0.x", scheme: oracle.scheme)]
  let configuration = try #require(try packing.configuration(modules: modules, unquantized: []))
  let whole = stored(packing, oracle)
  for missing in whole.indices {
    var parts = whole
    parts.remove(at: missing)
    let failure = #expect(throws: Failure.self) { try packing.unpack(configuration: configuration, stored: parts) }
    #expect(failure?.tensor == "model.layers.0.x.weight")
  }
  for (index, shape) in [(3, [1]), (0, [8, 1]), (1, [1])] {
    var parts = whole
    let bytes = [UInt8](repeating: 255, count: shape.reduce(parts[index].storage.schemeName == "i64" ? 8 : 4, *))
    let type: ElementType = [.i32, .bf16, .i32, .i64][index]
    parts[index] = CheckpointTensor(name: parts[index].name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
    #expect(throws: Failure.self) { try packing.unpack(configuration: configuration, stored: parts) }
  }
  #expect(try packing.unpack(configuration: .object([.init("quant_method", .string("gptq"))]), stored: whole) == nil)
}
