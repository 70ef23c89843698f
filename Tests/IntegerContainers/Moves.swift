import AWQContainer
import CompressedTensors
import GGUF
import GPTQContainer
import QuantCore
import TestSupport
import Testing

extension IntegerContainers {
  /// The stored tensors of a matrix, packed a few rows at a time as in a conversion.
  static func packed(
    _ packing: any Packing, _ scheme: any Scheme, name: String, shape: [Int], panel: (Range<Int>) -> QuantizedPanel
  ) -> [CheckpointTensor] {
    let parts = packing.parts(name: name, shape: shape, scheme: scheme)
    // So small that the columns of a part are written in several slabs.
    var assembly = PartAssembly(parts, limit: 4096)
    var bytes = parts.map { [UInt8](repeating: 0, count: $0.byteCount) }
    for start in stride(from: 0, to: shape[0], by: packing.rowMultiple) {
      let rows = start..<min(shape[0], start + packing.rowMultiple)
      for (part, piece) in packing.pack(panel(rows), rows: rows, of: shape, scheme: scheme).enumerated() {
        for slab in assembly.add(piece, to: part) {
          let length = slab.bytes.count / slab.lines
          for line in 0..<slab.lines {
            let start = slab.offset + line * slab.stride
            bytes[part].replaceSubrange(start..<start + length, with: slab.bytes[line * length..<(line + 1) * length])
          }
        }
      }
    }
    return zip(parts, bytes).compactMap { part, bytes in
      guard case .element(let type) = part.type, bytes.count == part.byteCount else { return nil }
      return CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(type, ByteView(bytes)))
    }
  }

  /// The weight that is read from one packed matrix.
  static func unpacked(
    _ packing: any FolderPacking & Unpacker, _ stored: [CheckpointTensor], name: String, scheme: any Scheme
  ) throws -> CheckpointTensor {
    let module = QuantizedModule(name: String(name.dropLast(".weight".count)), scheme: scheme)
    let configuration = try #require(try packing.configuration(modules: [module], unquantized: []))
    return try #require(try packing.unpack(configuration: configuration, stored: stored)?.first)
  }
}

@Suite struct Moves {
  private static let packings: [String: any FolderPacking & Unpacker] = [
    "autoawq-w4": AWQGEMM(), "autoround-w4": GPTQVersion1(), "gptqmodel-gptq4-v2": GPTQVersion2(), "ct-gptq-w3a16": PackQuantized(),
    "ct-gptq-w4a16": PackQuantized(), "ct-gptq-w8a16": PackQuantized(), "ct-rtn-w4a16-asym": PackQuantized(),
    "ct-sq-gptq-w8a8": IntQuantized(), "gptqmodel-gptq2": GPTQVersion1(), "gptqmodel-gptq3": GPTQVersion1(),
    "gptqmodel-gptq4": GPTQVersion1(), "gptqmodel-gptq4-asym": GPTQVersion1(), "gptqmodel-gptq4-g32": GPTQVersion1(),
    "gptqmodel-gptq8": GPTQVersion1(),
  ]

  @Test(arguments: packings.keys.sorted()) func whatWasReadIsPackedIntoTheBytesOfTheTool(_ name: String) throws {
    try checkBytes(name, in: Golden.cut(name), layers: Golden.cutLayers(name))
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: packings.keys.sorted())
  func whatWasReadIsPackedIntoTheBytesOfWholeFolders(_ name: String) throws {
    try checkBytes(name, in: Golden.whole(name), layers: 14)
  }

  private func checkBytes(_ name: String, in path: String, layers: Int) throws {
    let checkpoint = try GoldenFolders.open(path)
    let packing = try #require(Moves.packings[name])
    let original = Dictionary(uniqueKeysWithValues: storedTensors(path + "/model.safetensors").map { ($0.name, $0) })
    let quantized = checkpoint.tensors.filter { $0.storage is any QuantizedStorage }
    #expect(quantized.count >= layers)
    for tensor in quantized.suffix(7) {
      let storage = try #require(tensor.storage as? any QuantizedStorage)
      #expect(packing.holds(storage.scheme.grid))
      let stored = IntegerContainers.packed(packing, storage.scheme, name: tensor.name, shape: tensor.shape) {
        storage.panel(rows: $0, rowLength: tensor.rowLength)
      }
      #expect(stored.count == packing.parts(name: tensor.name, shape: tensor.shape, scheme: storage.scheme).count)
      for part in stored where !part.name.hasSuffix("g_idx") || name != "autoround-w4" {
        let tool = try #require(original[part.name])
        #expect(part.shape == tool.shape && part.storage.verbatim?.bytes == tool.storage.verbatim?.bytes, "\(part.name)")
      }
    }
  }

  @Test(arguments: ["gptqmodel-gptq4-v2", "gptqmodel-gptq4-asym"])
  func aCycleOfPackingsEndsWithTheBytesThatItBeganWith(_ name: String) throws {
    let checkpoint = try GoldenFolders.open(Golden.cut(name))
    let first = try #require(Moves.packings[name])
    let tensor = try #require(checkpoint.tensors.last { $0.storage is any QuantizedStorage })
    let asymmetric = try #require(IntegerScheme(bits: 4, groupLength: 128, isSymmetric: false, modelType: .f16))
    func pack(_ packing: any Packing, _ tensor: CheckpointTensor) throws -> [CheckpointTensor] {
      let storage = try #require(tensor.storage as? any QuantizedStorage)
      let repacking = try #require(asymmetric.repacking(of: storage.scheme))
      #expect(repacking.fidelity == .exact)
      return IntegerContainers.packed(packing, asymmetric, name: tensor.name, shape: tensor.shape) {
        repacking.translate(storage.panel(rows: $0, rowLength: tensor.rowLength))
      }
    }
    let start = try pack(first, tensor)
    var (moved, stored) = (tensor, start)
    for packing: any FolderPacking & Unpacker in [AWQGEMM(), PackQuantized(), first] {
      stored = try pack(packing, moved)
      moved = try IntegerContainers.unpacked(packing, stored, name: tensor.name, scheme: asymmetric)
      #expect(moved.matrix() == tensor.matrix())
    }
    #expect(stored.map { $0.storage.verbatim?.bytes } == start.map { $0.storage.verbatim?.bytes })
  }

  /// All zero points, with codes and shapes that do not fill whole words.
  @Test(arguments: [2, 3, 4, 8]) func everyZeroPointSurvivesPackingAndUnpacking(_ bits: Int) throws {
    let scheme = try #require(IntegerScheme(bits: bits, groupLength: 32, isSymmetric: false, modelType: .f16))
    let shape = [72, 96]
    func panel(_ rows: Range<Int>) -> QuantizedPanel {
      var panel = scheme.emptyPanel(rows: rows.count, columns: shape[1])
      for (local, row) in rows.enumerated() {
        for column in 0..<shape[1] { panel.codes[local * shape[1] + column] = Int32((row * 31 + column * 7) % (1 << bits)) }
        for group in 0..<3 {
          let index = panel.parameterIndex(row: local, group: group)
          panel.parameters[index] = Float(1 + row % 5) / 64
          panel.parameters[index + 1] = Float((row * 3 + group) % (1 << bits))
        }
      }
      return panel
    }
    let whole = panel(0..<shape[0])
    let packings: [any FolderPacking & Unpacker] = [GPTQVersion1(), GPTQVersion2(), PackQuantized(), AWQGEMM()]
    for packing in packings where packing.holds(scheme.grid) {
      let stored = IntegerContainers.packed(packing, scheme, name: "a.0.weight", shape: shape, panel: panel)
      let read = try IntegerContainers.unpacked(packing, stored, name: "a.0.weight", scheme: scheme)
      let storage = try #require(read.storage as? any QuantizedStorage)
      #expect(storage.panel(rows: 0..<shape[0], rowLength: shape[1]) == whole)
      #expect(storage.panel(rows: 5..<41, rowLength: shape[1]) == panel(5..<41))
      #expect(IntegerContainers.rows(of: read, 5..<41) == scheme.values(panel(5..<41)))
    }
  }

  /// Values after repacking, compared with those before, for each kind of group.
  @Test(arguments: [
    ("int4-g128", "int4-g128-asym", true), ("int4-g128", "int4-g32", true), ("int4-channel", "int4-g64-asym", true),
    ("int3-g64", "int4-g32", true), ("int4-g128-asym", "int8-g64-asym", true), ("int4-g128", "q4_0", true), ("int2-g32", "q4_0", true),
    ("int4-channel", "q4_0", true), ("int8-channel", "q8_0", true), ("int8-g64", "q8_0", true), ("int5-g32", "q5_0", true),
    ("int4-g64-asym", "q4_1", false), ("int5-g32-asym", "q5_1", false),
  ])
  func integersMoveToOtherGridsCodeForCode(_ from: String, _ to: String, _ isExact: Bool) throws {
    let source = try #require(IntegerSchemes.scheme(named: from, modelType: .f16) as? IntegerScheme)
    let target = try #require(IntegerSchemes.scheme(named: to, modelType: .f16) ?? GGUFBlocks.scheme(named: to, modelType: .f16))
    let matrix = Matrix(rows: 5, columns: 256, values: (0..<5 * 256).map { Float(($0 * 7919) % 1013) / 4096 - 0.1 })
    var panel = source.emptyPanel(rows: 5, columns: 256)
    matrix.withPanel { source.encode($0, importance: nil, into: &panel) }
    let repacking = try #require(target.repacking(of: source))
    #expect(repacking.fidelity == (isExact ? .exact : .parametersRounded))
    let moved = repacking.translate(panel)
    let (before, after) = (source.values(panel), target.values(moved))
    if isExact {
      #expect(after == before)
    } else {
      #expect(moved.codes == panel.codes)
      for (a, b) in zip(after, before) { #expect(abs(a - b) < 0.3 * 0x1p-10) }
    }
    #expect(panel.codes.max() != panel.codes.min())
  }

  @Test func whatAGridCannotHoldIsNotRepacked() throws {
    func scheme(_ name: String, _ type: ElementType = .f16) throws -> any Scheme {
      try #require(IntegerSchemes.scheme(named: name, modelType: type) ?? GGUFBlocks.scheme(named: name, modelType: type))
    }
    for (to, from) in [
      ("int4-g128", "int4-g128-asym"), ("int4-g128", "int4-g64"), ("int4-channel", "int4-g64"), ("int4-g128", "int8-g128"),
      ("int4-g96", "int4-g128"), ("q4_0", "int4-g16"), ("q4_0", "int8-g32"), ("q4_0", "int4-g32-asym"), ("q4_1", "int4-g32"),
      ("q8_0", "int8-g32-asym"), ("q4_k", "int4-g32"), ("q4_0", "q4_1"),
    ] {
      #expect(try scheme(to).repacking(of: scheme(from)) == nil, "\(from) to \(to)")
    }
    #expect(try scheme("int4-g128", .bf16).repacking(of: scheme("int4-g128", .f16))?.fidelity == .parametersRounded)
    #expect(try scheme("int4-g128", .f32).repacking(of: scheme("int4-g128", .bf16))?.fidelity == .exact)
    #expect(try scheme("q8_0").repacking(of: scheme("int8-channel", .bf16))?.fidelity == .parametersRounded)
  }
}
