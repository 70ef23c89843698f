import HQQ
import QuantCore
import TestSupport
import Testing

/// HQQ layers, packed here by the definition: the bytes of row r hold row r of each slab, the first slab in the highest bits.
@Suite struct HQQTests {
  private func tensor(_ name: String, _ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) -> CheckpointTensor {
    CheckpointTensor(name: "model.x." + name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
  }

  private func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
  }

  private func int(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

  /// A layer of 4 × 8 weights in groups of 4; a code is 7 times the weight's index, modulo the number of codes.
  private func layer(bits: Int, axis: Int) -> (stored: [CheckpointTensor], weights: [Float]) {
    // Groups are rows of 8 × 4, or columns of 4 × 8.
    let rows = axis == 1 ? 8 : 4, columns = 32 / rows, slabs = 8 / bits, slabRows = rows / slabs
    var bytes = [UInt8](repeating: 0, count: slabRows * columns)
    var weights: [Float] = []
    let scales = (0..<8).map { 0.5 + Float($0) }, zeros = (0..<8).map { 1.25 * Float($0) }
    for index in 0..<32 {
      let code = index * 7 % (1 << bits), row = index / columns, column = index % columns
      bytes[row % slabRows * columns + column] |= UInt8(code << (8 - bits * (row / slabRows + 1)))
      let group = axis == 1 ? row : column
      weights.append((Float(code) - zeros[group]) * scales[group])
    }
    let shape = int(4) + [0, 0, 0, 0] + int(8) + [0, 0, 0, 0]
    return (
      [
        tensor("W_q", .u8, [slabRows, columns], bytes), tensor("scale", .f32, axis == 1 ? [8, 1] : [1, 8], floats(scales)),
        tensor("zero", .f32, axis == 1 ? [8, 1] : [1, 8], floats(zeros)), tensor("shape", .i64, [2], shape),
        tensor("nbits", .i32, [], int(bits)), tensor("axis", .i32, [], int(axis)), tensor("group_size", .i32, [], int(4)),
        tensor("packing", .u8, [7], Array("\(bits)bit_u8".utf8)), tensor("quant_scale", .u8, [], [0]),
        tensor("bias", .f32, [4], floats([1, 2, 3, 4])),
      ], weights
    )
  }

  @Test(arguments: [8, 4, 2], [0, 1]) func groupsAlongBothAxesAreRead(_ bits: Int, _ axis: Int) throws {
    let (stored, weights) = layer(bits: bits, axis: axis)
    let logical = try #require(try HQQ().unpack(configuration: .null, stored: stored))
    #expect(logical.map(\.name) == ["model.x.weight", "model.x.bias"])
    #expect(logical[0].shape == [4, 8] && logical[0].matrix().values == weights)
    var row = [Float](repeating: .nan, count: 8)
    row.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { logical[0].decode(rows: 2..<3, into: base) } }
    #expect(row == Array(weights[16..<24]))
  }

  @Test func singleBitsAreRead() throws {
    let (stored, weights) = layer(bits: 1, axis: 1)
    #expect(
      try HQQ().unpack(configuration: .object([.init("quant_method", .string("hqq"))]), stored: stored)?[0].matrix().values == weights)
  }

  private func id(_ stored: [CheckpointTensor]) -> String? {
    do {
      _ = try HQQ().unpack(configuration: .null, stored: stored)
      return nil
    } catch {
      #expect((error as? Failure)?.tensor == "model.x.W_q")
      return (error as? Failure)?.id
    }
  }

  @Test func damagedLayersAreRefused() throws {
    let whole = layer(bits: 4, axis: 1).stored
    func replacing(_ name: String, _ new: CheckpointTensor) -> [CheckpointTensor] { whole.map { $0.name == "model.x." + name ? new : $0 } }
    for name in ["scale", "zero", "shape", "nbits", "axis", "packing"] {
      #expect(id(whole.filter { $0.name != "model.x." + name }) == "hqq.parts", "\(name)")
    }
    #expect(id(replacing("packing", tensor("packing", .u8, [8], Array("3bit_32\u{1b}".utf8)))) == "hqq.packing")
    #expect(id(replacing("nbits", tensor("nbits", .i32, [], int(8)))) == "hqq.packing")
    #expect(id(replacing("axis", tensor("axis", .i32, [], int(2)))) == "hqq.packing")
    #expect(id(replacing("axis", tensor("axis", .i32, [], int(0)))) == "hqq.parts")
    #expect(id(replacing("axis", tensor("axis", .f32, [], int(0)))) == "hqq.parts")
    #expect(id(replacing("quant_scale", tensor("quant_scale", .u8, [], [1]))) == "hqq.nested")
    #expect(id(replacing("scale", tensor("scale", .f32, [7, 1], floats([1, 2, 3, 4, 5, 6, 7])))) == "hqq.parts")
    for lengths in [[4, 9], [-4, -8], [1 << 62, 4], [0, 0]] {
      let bytes = lengths.flatMap { length in (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } }
      #expect(id(replacing("shape", tensor("shape", .i64, [2], bytes))) == "hqq.shape", "\(lengths)")
    }
    #expect(id(replacing("W_q", tensor("W_q", .u8, [16, 1], [UInt8](repeating: 0, count: 16)))) == "hqq.parts")
  }

  @Test func otherFoldersAreLeftToOthers() throws {
    let plain = [tensor("weight", .f32, [1], floats([1]))]
    #expect(try HQQ().unpack(configuration: .null, stored: plain) == nil)
    #expect(
      try HQQ().unpack(configuration: .object([.init("quant_method", .string("gptq"))]), stored: layer(bits: 4, axis: 1).stored) == nil)
  }
}
