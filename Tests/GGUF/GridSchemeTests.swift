import CBlocks
import QuantCore
import Testing

@testable import GGUF

/// Points of grids, and the meaning of codes and parameters on them.
struct GridSchemeTests {
  let samples = BlockSamples(columns: 512, copies: 1)

  private func encoded(_ scheme: GridBlocks) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
    samples.matrix.withPanel { scheme.encode($0, importance: samples.importance, into: &panel) }
    return panel
  }

  @Test func bitsPerWeightAreThoseOfTheFormat() throws {
    let expected = [
      "iq1_s": 1.5625, "iq1_m": 1.75, "iq2_xxs": 2.0625, "iq2_xs": 2.3125, "iq2_s": 2.5625, "iq3_xxs": 3.0625, "iq3_s": 3.4375,
    ]
    #expect(Set(GGUFGrids.schemeNames) == Set(expected.keys))
    for (name, bits) in expected {
      let scheme = try #require(GGUFGrids.scheme(named: name, modelType: .bf16))
      #expect(scheme.bitsPerWeight(columns: 1024) == bits)
      #expect(!scheme.fits(columns: 128) && scheme.fits(columns: 256))
      let need: ImportanceNeed = name == "iq3_s" ? .none : ["iq1_m", "iq2_s", "iq3_xxs"].contains(name) ? .layers : .everything
      #expect(scheme.importanceNeed == need, "\(name)")
    }
    #expect(GGUFGrids.scheme(named: "iq4_xs", modelType: .bf16) == nil)
  }

  @Test(arguments: GridType.allCases) func valuesOfCodesEqualTheDecodedBytes(type: GridType) throws {
    let scheme = GridBlocks(type), panel = encoded(scheme)
    let bytes = GGUFBlockPacking().pack(panel, rows: 0..<samples.rows, of: [samples.rows, samples.columns], scheme: scheme)[0]
    var decoded = [Float](repeating: 0, count: samples.values.count)
    let decode = try #require(scheme.layout.decoder)
    bytes.withUnsafeBytes { raw in
      if let base = raw.baseAddress { decode(base, Int64(samples.values.count), &decoded) }
    }
    #expect(bits(scheme.values(panel)) == bits(decoded))
    let fused = try #require(GGUFBlockPacking().fused(scheme: scheme))
    var whole = [UInt8](repeating: 0, count: bytes.count)
    fused(samples.values, samples.rows, samples.columns, samples.importance, &whole)
    #expect(whole == bytes)
  }

  @Test(arguments: GridType.allCases) func unpackingRestoresWhatWasPacked(type: GridType) throws {
    let scheme = GridBlocks(type), packing = GGUFBlockPacking()
    var random = BlockSamples.Generator(state: 7)
    var bytes = (0..<8 * scheme.layout.rowBytes(columns: 512)).map { _ in UInt8(random.uniform() * 255) }
    // A scale that is not finite keeps only its sign, so the scales here are small.
    for block in 0..<bytes.count / scheme.layout.bytes { bytes[block * scheme.layout.bytes + (type == .iq1m ? 55 : 1)] &= 0x3F }
    let panel = try #require(bytes.withUnsafeBytes { packing.unpack($0, layout: type.block.name, rows: 8, columns: 512) })
    #expect(packing.pack(panel, rows: 0..<8, of: [8, 512], scheme: scheme) == [bytes])
  }

  @Test(arguments: GridType.allCases) func stretchesOfEightGetTheNearestPoints(type: GridType) throws {
    let scheme = GridBlocks(type)
    let matrix = Matrix(rows: 1, columns: 256, values: Array(samples.values[0..<256]))
    var panel = scheme.emptyPanel(rows: 1, columns: 256)
    matrix.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    let rule = squaredErrors(scheme.values(panel), matrix.values)
    var nearest = panel
    for i in nearest.codes.indices { nearest.codes[i] = 0 }
    matrix.withPanel { source in
      for start in stride(from: 0, to: 256, by: 64) { scheme.nearest(source, columns: start..<start + 64, into: &nearest) }
    }
    let found = squaredErrors(scheme.values(nearest), matrix.values)
    #expect(found.reduce(0, +) <= rule.reduce(0, +))
    // Packing and unpacking does not change them.
    let packing = GGUFBlockPacking(), bytes = packing.pack(nearest, rows: 0..<1, of: [1, 256], scheme: scheme)[0]
    #expect(bytes.withUnsafeBytes { packing.unpack($0, layout: type.block.name, rows: 1, columns: 256) } == nearest)
  }

  private func squaredErrors(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { ($0 - $1) * ($0 - $1) } }

  @Test(arguments: GridType.allCases) func neighboursAreAllPointsAtTheSmallestDistances(type: GridType) throws {
    let points = GridPoints(type.grid), all = (0..<points.count).map { index in (0..<points.length).map { points.level($0, of: index) } }
    let distances = [GridType.iq2xxs: 2, .iq2xs: 2, .iq2s: 1, .iq1s: 3, .iq1m: 3, .iq3xxs: 2, .iq3s: 3]
    let wanted = try #require(distances[type])
    #expect(Set(all).count == points.count)
    var random = BlockSamples.Generator(state: 11)
    for _ in 0..<40 {
      let levels = (0..<points.length).map { _ in Int32(random.uniform() * Float(points.levelCount)) }
      let measured = all.map { zip($0, levels).reduce(Int32(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
      if let own = measured.firstIndex(of: 0) {
        #expect(points.index(levels[...]) == own)
        continue
      }
      #expect(points.index(levels[...]) == nil)
      let near = Set(measured).sorted().prefix(wanted)
      let expected = near.flatMap { distance in all.indices.filter { measured[$0] == distance }.map { all[$0] } }
      let found = points.neighbours(levels[...]).map { packed in (0..<points.length).map { points.level($0, packed: packed) } }
      #expect(Array(found.prefix(expected.count)) == expected)
      // Chunks are padded with a point that changes nothing.
      #expect(found.dropFirst(expected.count).allSatisfy { $0 == expected[0] } && found.count < expected.count + 8)
    }
  }
}
