import CBlocks
import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// Bytes of the encoders against llama.cpp's own, and against the same rule in plain Swift.
struct BlockEncodingTests {
  let samples = BlockSamples()

  static func floats(_ bytes: [UInt8]) -> [Float] {
    bytes.withUnsafeBytes { raw in
      (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  /// Packed rows from a kernel at one level.
  static func kernelBytes(_ values: [Float], rows: Int, importance: [Float]?, scheme: any GGUFBlockScheme, level: Int32) -> [UInt8] {
    guard let encode = qc_block_encoder_at(scheme.layout.kernel, level) else { return [] }
    let columns = values.count / rows
    var bytes = [UInt8](repeating: 0xAA, count: rows * scheme.layout.rowBytes(columns: columns))
    if let importance {
      encode(values, Int64(rows), Int64(columns), importance, &bytes)
    } else {
      encode(values, Int64(rows), Int64(columns), nil, &bytes)
    }
    return bytes
  }

  /// Rows of the fixture for which llama.cpp converts a negative exponent to a byte: the subnormal ones.
  private static func isUndefined(_ name: String, row: Int) -> Bool { name == "mxfp4-ggml" && (row == 18 || row == 20) }

  @Test(arguments: GGUFBlocks.schemeNames) func bytesEqualThoseOfLlamaCpp(name: String) throws {
    let rows = Self.floats(readFile(SharedData.fixture("blocks/rows.f32")))
    let importance = Self.floats(readFile(SharedData.fixture("blocks/importance.f32")))
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    let count = rows.count / 512
    #expect(importance.count == 512)
    #expect(rows.count == 21 * 512)
    for (file, weights) in [("\(name).bin", nil), ("\(name)-weighted.bin", importance)] {
      let golden = readFile(SharedData.fixture("blocks/" + file))
      #expect(golden.count == count * scheme.layout.rowBytes(columns: 512))
      for level in 0...qc_cpu_level() {
        let bytes = Self.kernelBytes(rows, rows: count, importance: weights, scheme: scheme, level: level)
        for row in 0..<count where !Self.isUndefined(name, row: row) {
          let own = row * golden.count / count..<(row + 1) * golden.count / count
          #expect(bytes[own] == golden[own], "row \(row) of \(file) at level \(level)")
        }
      }
    }
  }

  @Test(arguments: GGUFBlocks.schemeNames) func kernelsOfEveryLevelEqualTheReadableRule(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    for importance in [nil, samples.importance, [Float](repeating: 0, count: samples.columns)] {
      var readable = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
      samples.matrix.withPanel { scheme.readableEncode($0, importance: importance, into: &readable) }
      let expected = GGUFBlockPacking().pack(
        readable, rows: 0..<samples.rows, of: [samples.rows, samples.columns], scheme: scheme)
      for level in 0...qc_cpu_level() {
        let bytes = Self.kernelBytes(
          samples.values, rows: samples.rows, importance: importance, scheme: scheme, level: level)
        #expect([bytes] == expected, "level \(level), importance: \(importance != nil)")
      }
    }
  }

  @Test(arguments: GGUFBlocks.schemeNames) func encodingThenPackingEqualsTheFusedEncoder(name: String) throws {
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    let fused = try #require(GGUFBlockPacking().fused(scheme: scheme))
    for importance in [nil, samples.importance] {
      var panel = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
      samples.matrix.withPanel { scheme.encode($0, importance: importance, into: &panel) }
      var bytes = [UInt8](repeating: 0, count: samples.rows * scheme.layout.rowBytes(columns: samples.columns))
      if let importance {
        fused(samples.values, samples.rows, samples.columns, importance, &bytes)
      } else {
        fused(samples.values, samples.rows, samples.columns, nil, &bytes)
      }
      let packed = GGUFBlockPacking().pack(
        panel, rows: 0..<samples.rows, of: [samples.rows, samples.columns], scheme: scheme)
      #expect(packed == [bytes])
    }
  }

  @Test func aPanelInsideAWiderMatrixIsEncodedLikeACopyOfIt() throws {
    let matrix = samples.matrix
    for scheme in BlockSamples.allSchemes {
      let part = 256..<512
      var strided = scheme.emptyPanel(rows: samples.rows, columns: part.count)
      var copied = strided
      matrix.withPanel(columns: part) { scheme.encode($0, importance: nil, into: &strided) }
      let copy = (0..<samples.rows).flatMap { row in part.map { matrix[row, $0] } }
      Matrix(rows: samples.rows, columns: part.count, values: copy)
        .withPanel { scheme.encode($0, importance: nil, into: &copied) }
      #expect(strided.codes == copied.codes)
      #expect(bits(strided.parameters) == bits(copied.parameters))
    }
  }
}
