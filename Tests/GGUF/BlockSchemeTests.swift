import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// The meaning of codes and parameters, and the operations that error-feedback methods use.
struct BlockSchemeTests {
  let samples = BlockSamples()

  func encoded(_ scheme: any GGUFBlockScheme, importance: [Float]? = nil) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
    samples.matrix.withPanel { scheme.encode($0, importance: importance, into: &panel) }
    return panel
  }

  func values(_ panel: QuantizedPanel, _ scheme: any GGUFBlockScheme, columns: Range<Int>? = nil) -> [Float] {
    var values = [Float](repeating: 0, count: panel.rows * panel.columns)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { scheme.value(panel, columns: columns ?? 0..<panel.columns, into: base) }
    }
    return values
  }

  @Test func bitsPerWeightAreThoseOfTheFormat() {
    let expected = [
      "q8_0": 8.5, "q4_0": 4.5, "q4_1": 5, "q5_0": 5.5, "q5_1": 6, "q2_k": 2.625, "q3_k": 3.4375, "q4_k": 4.5, "q5_k": 5.5,
      "q6_k": 6.5625, "iq4_nl": 4.5, "iq4_xs": 4.25, "tq1_0": 1.6875, "tq2_0": 2.0625, "q1_0": 1.125, "q2_0": 2.25,
      "mxfp4-ggml": 4.25, "nvfp4-ggml": 4.5,
    ]
    for scheme in BlockSamples.allSchemes { #expect(scheme.bitsPerWeight(columns: 1024) == expected[scheme.name]) }
    #expect(BlockSamples.allSchemes.count == expected.count)
  }

  @Test(arguments: GGUFBlocks.schemeNames) func valuesOfCodesEqualTheDecodedBytes(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    let decode = try #require(scheme.layout.decoder)
    for importance in [nil, samples.importance] {
      let panel = encoded(scheme, importance: importance)
      let bytes = GGUFBlockPacking().pack(panel, rows: 0..<samples.rows, of: [samples.rows, samples.columns], scheme: scheme)[0]
      var decoded = [Float](repeating: 0, count: samples.values.count)
      bytes.withUnsafeBytes { raw in
        if let base = raw.baseAddress { decode(base, Int64(samples.values.count), &decoded) }
      }
      #expect(bits(values(panel, scheme)) == bits(decoded))
    }
  }

  @Test(arguments: GGUFBlocks.schemeNames) func unpackingRestoresWhatWasPacked(name: String) throws {
    // Any bytes are a valid block: codes and parameters read from them must give the same bytes again.
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    var random = BlockSamples.Generator(state: 7)
    let bytes = (0..<8 * scheme.layout.rowBytes(columns: 512)).map { _ in UInt8(random.uniform() * 255) }
    let packing = GGUFBlockPacking()
    let panel = try #require(bytes.withUnsafeBytes { packing.unpack($0, layout: scheme.layout.name, rows: 8, columns: 512) })
    let again = packing.pack(panel, rows: 0..<8, of: [8, 512], scheme: scheme)[0]
    // A NaN scale keeps its sign but not its payload.
    let second = try #require(again.withUnsafeBytes { packing.unpack($0, layout: scheme.layout.name, rows: 8, columns: 512) })
    #expect(panel.codes == second.codes)
    #expect(bits(panel.parameters) == bits(second.parameters))
  }

  @Test func unpackingRefusesBytesOfAnotherSize() {
    let bytes = [UInt8](repeating: 0, count: 35)
    let packing = GGUFBlockPacking()
    bytes.withUnsafeBytes { raw in
      #expect(packing.unpack(raw, layout: "q8_0", rows: 1, columns: 32) == nil)
      #expect(packing.unpack(raw, layout: "q8_0", rows: 1, columns: 33) == nil)
      #expect(packing.unpack(raw, layout: "q9_0", rows: 1, columns: 32) == nil)
      #expect(packing.unpack(raw, layout: "q8_0", rows: .max, columns: 256) == nil)
    }
  }

  @Test(arguments: GGUFBlocks.schemeNames) func fittingGivesTheParametersOfEncodingAndLeavesCodesAlone(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    var fitted = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
    fitted.codes = fitted.codes.map { _ in 3 }
    samples.matrix.withPanel { scheme.fit($0, importance: samples.importance, into: &fitted) }
    #expect(bits(fitted.parameters) == bits(encoded(scheme, importance: samples.importance).parameters))
    #expect(fitted.codes.allSatisfy { $0 == 3 })
  }

  @Test(arguments: GGUFBlocks.schemeNames) func nearestCodesAreNeverFartherThanTheirNeighbours(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    let top: Int32 = name == "q8_0" ? 127 : (1 << Int32(scheme.layout.bits)) - 1
    let bottom: Int32 = name == "q8_0" ? -128 : 0
    // Ordinary rows: if scales are finite, every code but the nearest must be at least as far away.
    let rows = 3
    let matrix = Matrix(rows: rows, columns: samples.columns, values: Array(samples.values[0..<rows * samples.columns]))
    var panel = scheme.emptyPanel(rows: rows, columns: samples.columns)
    matrix.withPanel { source in
      scheme.fit(source, importance: nil, into: &panel)
      scheme.nearest(source, columns: 0..<source.columns, into: &panel)
    }
    func errors(_ panel: QuantizedPanel) -> [Float] {
      zip(values(panel, scheme), matrix.values).map { ($0 - $1).magnitude }
    }
    let best = errors(panel)
    for shift: Int32 in [-1, 1] {
      var moved = panel
      for i in moved.codes.indices { moved.codes[i] = min(top, max(bottom, moved.codes[i] + shift)) }
      let other = errors(moved)
      for i in best.indices {
        // Half a unit in the last place of the quotient may decide a tie either way.
        #expect(best[i] <= other[i] * 1.00001 + 1e-7, "column \(i) moved by \(shift)")
      }
    }
    #expect(panel.codes.allSatisfy { $0 >= bottom && $0 <= top })
  }

  @Test(arguments: GGUFBlocks.schemeNames) func fitAndNearestRoundAboutAsWellAsEncoding(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    // Mean squared error relative to the mean square, for Gaussian weights; the bounds are well above the known errors of the types.
    let bounds = [
      "q8_0": 4e-5, "q4_0": 0.012, "q4_1": 0.012, "q5_0": 3e-3, "q5_1": 3e-3, "q4_k": 0.009, "q5_k": 0.0025, "q6_k": 7e-4,
      "q2_k": 0.12, "q3_k": 0.03, "iq4_nl": 0.01, "iq4_xs": 0.01, "tq1_0": 0.7, "tq2_0": 0.7, "q1_0": 0.4, "q2_0": 0.6,
      "mxfp4-ggml": 0.02, "nvfp4-ggml": 0.02,
    ]
    let matrix = Matrix(rows: 1, columns: samples.columns, values: Array(samples.values[0..<samples.columns]))
    var panel = scheme.emptyPanel(rows: 1, columns: samples.columns)
    matrix.withPanel { source in
      scheme.fit(source, importance: nil, into: &panel)
      scheme.nearest(source, columns: 0..<source.columns, into: &panel)
    }
    func error(_ values: [Float]) -> Double {
      var sum = 0.0, square = 0.0
      for (a, b) in zip(values, matrix.values) {
        sum += Double(a - b) * Double(a - b)
        square += Double(b) * Double(b)
      }
      return sum / square
    }
    let fitted = error(values(panel, scheme)), whole = error(matrix.withPanel { scheme.roundTrip($0) })
    let bound = try #require(bounds[name])
    #expect(fitted <= bound)
    #expect(fitted <= whole * 1.001 + 1e-12)
  }

  @Test(arguments: GGUFBlocks.schemeNames) func columnsCanBeRoundedAndReadPieceByPiece(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    var whole = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
    var pieces = whole
    samples.matrix.withPanel { source in
      scheme.fit(source, importance: nil, into: &whole)
      pieces.parameters = whole.parameters
      scheme.nearest(source, columns: 0..<samples.columns, into: &whole)
      for start in stride(from: 0, to: samples.columns, by: 7) {
        scheme.nearest(source, columns: start..<min(start + 7, samples.columns), into: &pieces)
      }
    }
    #expect(whole.codes == pieces.codes)
    let all = values(whole, scheme), some = values(whole, scheme, columns: 250..<300)
    for row in 0..<samples.rows {
      for column in 0..<samples.columns {
        let expected = (250..<300).contains(column) ? all[row * samples.columns + column] : 0
        #expect(bits([some[row * samples.columns + column]]) == bits([expected]))
      }
    }
  }

  @Test func packingHoldsExactlyItsGridsAndStatesTheirSize() {
    let packing = GGUFBlockPacking()
    for scheme in BlockSamples.allSchemes {
      #expect(packing.holds(scheme.grid))
      let part = packing.parts(name: "blk.0.ffn_up.weight", shape: [3, 5, 512], scheme: scheme)
      let bytes = 15 * 512 / scheme.layout.weights * scheme.layout.bytes
      #expect(
        part == [
          StoredPart(name: "blk.0.ffn_up.weight", shape: [3, 5, 512], type: .blocks(scheme.layout.name), byteCount: bytes)
        ])
    }
    #expect(!packing.holds(Grid(kind: .symmetricInteger, groupLength: 32, codeBits: 4, parameterBits: 16)))
    #expect(!packing.holds(Grid(kind: .block, layout: "q9_9", groupLength: 32, codeBits: 4, parameterBits: 16)))
    #expect(GGUFBlocks.scheme(named: "q4_k_m", modelType: .bf16) == nil)
  }
}
