import NibblesPlugin
import QuantCore
import Testing

private let packing = NibblesPacking()
private let configuration = JSON.object([.init("quant_method", .string("nibbles"))])

/// The stored tensors of a matrix of 6 rows and 64 columns, and the values that its codes stand for.
private func packed() throws -> (stored: [CheckpointTensor], values: [Float]) {
  let plain = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .bf16))
  let scheme = packing.stored(plain)
  #expect(packing.holds(scheme.grid) && !packing.holds(plain.grid))
  let weights = Matrix(rows: 6, columns: 64, values: (0..<384).map { Float($0 * 37 % 101) / 50 - 1 })
  var panel = scheme.emptyPanel(rows: 6, columns: 64)
  weights.withPanel { scheme.encode($0, importance: nil, into: &panel) }
  let parts = packing.parts(name: "layer.weight", shape: [6, 64], scheme: scheme)
  let bytes = packing.pack(panel, rows: 0..<6, of: [6, 64], scheme: scheme)
  #expect(parts.map(\.byteCount) == bytes.map(\.count))
  let stored = zip(parts, bytes).map { part, bytes in
    let type: ElementType = part.name.hasSuffix("_codes") ? .u8 : .f16
    return CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(type, ByteView(bytes)))
  }
  return (stored, scheme.values(panel))
}

@Test func whatIsPackedIsReadAgain() throws {
  let (stored, values) = try packed()
  let norm = CheckpointTensor(name: "norm.weight", shape: [1], storage: PlainStorage(.f16, ByteView([0, 0])))
  let read = try #require(try packing.unpack(configuration: configuration, stored: stored + [norm], metadata: KeyValues()))
  #expect(read.map(\.name) == ["layer.weight", "norm.weight"])
  #expect(read[0].shape == [6, 64] && read[0].matrix().values == values)
  #expect(read[0].storage.codes?.scheme.grid.groupLength == 32)
}

@Test func theFirstByteHoldsTheFirstTwoCodes() throws {
  let (stored, values) = try packed()
  let bytes = try #require(stored[0].storage.verbatim).bytes
  let scale = stored[1].matrix().values[0]
  #expect([Float(bytes[0] & 15) - 8, Float(bytes[0] >> 4) - 8].map { $0 * scale } == Array(values[0..<2]))
}

@Test func foldersOfOthersAreLeftToThem() throws {
  let other = JSON.object([.init("quant_method", .string("gptq"))])
  #expect(try packing.unpack(configuration: other, stored: packed().stored, metadata: KeyValues()) == nil)
  #expect(packing.obstacle(shape: [4, 12], scheme: FloatScheme.f32) != nil)
}

@Test func brokenFoldersAreRefused() throws {
  let (stored, _) = try packed()
  var short = stored[0]
  short.storage = PlainStorage(.u8, ByteView([0]))
  var wrong = stored[1]
  wrong.shape = [6, 7]
  for tensors in [[stored[0]], [short, stored[1]], [stored[0], wrong]] {
    #expect(throws: Failure.self) { try packing.unpack(configuration: configuration, stored: tensors, metadata: KeyValues()) }
  }
}
