import CBlocks
import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// The values that the decoders read, against those that llama.cpp reads.
struct BlockDecodingTests {
  /// Every block type in the order of its number, which is that of the fixtures.
  static let types = BlockType.all.sorted { $0.id < $1.id }
  static let blocksPerType = 3

  @Test func everyBlockTypeIsReadAsLlamaCppReadsIt() throws {
    let stored = readFile(SharedData.fixture("blocks/decoded.bin"))
    let expected = BlockEncodingTests.floats(readFile(SharedData.fixture("blocks/decoded.f32")))
    #expect(stored.count == Self.types.reduce(0) { $0 + Self.blocksPerType * $1.bytes })
    for level in 0...qc_cpu_level() {
      var byte = 0, value = 0
      for type in Self.types {
        let decode = try #require(qc_block_decoder_at(type.kernel, level), "\(type.name) has no decoder")
        let count = Self.blocksPerType * type.weights
        var decoded = [Float](repeating: 0, count: count)
        stored.withUnsafeBytes { raw in
          if let base = raw.baseAddress { decode(base + byte, Int64(count), &decoded) }
        }
        #expect(bits(decoded) == bits(Array(expected[value..<value + count])), "\(type.name) at level \(level)")
        byte += Self.blocksPerType * type.bytes
        value += count
      }
    }
  }

  @Test func numbersOfNoBlockTypeHaveNoDecoder() {
    for id in (0..<64).map(UInt32.init) + [.max] where !Self.types.contains(where: { $0.id == id }) {
      #expect(qc_block_decoder_at(qc_block_type(rawValue: id), Int32(QC_BASELINE)) == nil, "\(id)")
    }
  }

  @Test func anyBytesAreDecodedWithinTheirGrids() throws {
    // Points of a grid have known levels: under a scale of one, any other value would come from an index outside the grid.
    let grids = try #require(BlockType.iq1_s.decoder)
    var random = BlockSamples.Generator(state: 3)
    for _ in 0..<200 {
      var block = (0..<50).map { _ in UInt8(random.uniform() * 255) }
      block[0] = 0
      block[1] = 0x3C
      var values = [Float](repeating: 0, count: 256)
      block.withUnsafeBytes { raw in
        if let base = raw.baseAddress { grids(base, 256, &values) }
      }
      for (index, value) in values.enumerated() {
        let word = UInt16(block[34 + index / 32 * 2]) | UInt16(block[35 + index / 32 * 2]) << 8
        let shift: Float = word >> 15 == 1 ? -0.125 : 0.125
        let level = value / Float(2 * (word >> 12 & 7) + 1) - shift
        #expect([-1, 0, 1].contains { abs(level - $0) < 1e-5 }, "\(level) at \(index)")
      }
    }
  }
}
