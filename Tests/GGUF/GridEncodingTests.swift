import CBlocks
import QuantCore
import Synchronization
import TestSupport
import Testing

@testable import GGUF

/// Bytes of the encoders that index grids, against llama.cpp's own and against the same rule in plain Swift.
struct GridEncodingTests {
  static let rowCount = 20
  static let columns = 512
  let rows = BlockEncodingTests.floats(readFile(SharedData.fixture("grids/rows.f32")))
  let importance = BlockEncodingTests.floats(readFile(SharedData.fixture("grids/importance.f32")))

  static func bytes(_ type: GridType, _ values: [Float], rows: Int, importance: [Float]?, level: Int32) throws -> [UInt8] {
    let layout = type.block, encode = try #require(qc_block_encoder_at(layout.kernel, level))
    let columns = values.count / rows
    var bytes = [UInt8](repeating: 0xAA, count: rows * layout.rowBytes(columns: columns))
    if let importance {
      encode(values, Int64(rows), Int64(columns), importance, &bytes)
    } else {
      encode(values, Int64(rows), Int64(columns), nil, &bytes)
    }
    return bytes
  }

  /// Σ importance·(decoded − x)² of a block.
  private func error(_ layout: BlockType, _ block: ArraySlice<UInt8>, _ x: ArraySlice<Float>, _ importance: ArraySlice<Float>?) -> Double {
    var decoded = [Float](repeating: 0, count: layout.weights)
    block.withUnsafeBytes { raw in
      if let base = raw.baseAddress { layout.decoder?(base, Int64(layout.weights), &decoded) }
    }
    var sum = 0.0
    for (i, pair) in zip(decoded, x).enumerated() {
      let difference = Double(pair.0) - Double(pair.1)
      sum += Double(importance.map { $0[$0.startIndex + i] } ?? 1) * difference * difference
    }
    return sum
  }

  @Test(arguments: GridType.allCases) func bytesEqualThoseOfLlamaCpp(type: GridType) throws {
    let layout = type.block, name = layout.name
    #expect(rows.count == Self.rowCount * Self.columns && importance.count == Self.columns)
    let worksWithout = [.iq1m, .iq2s, .iq3xxs, .iq3s].contains(type)
    for weights in worksWithout ? [nil, importance] : [importance] {
      let golden = readFile(SharedData.fixture("grids/" + name + (weights == nil ? ".bin" : "-weighted.bin")))
      #expect(golden.count == Self.rowCount * layout.rowBytes(columns: Self.columns))
      for level in 0...qc_cpu_level() {
        let own = try Self.bytes(type, rows, rows: Self.rowCount, importance: weights, level: level)
        for block in 0..<golden.count / layout.bytes {
          let range = block * layout.bytes..<(block + 1) * layout.bytes
          if own[range] == golden[range] { continue }
          // After a sub-block of zeros, llama.cpp's iq3_s writes points to the wrong places: here the error can only be smaller.
          let x = rows[256 * block..<256 * (block + 1)], start = 256 * block % Self.columns
          let hasEmptySubBlock = stride(from: x.startIndex, to: x.endIndex, by: 32).contains { x[$0..<$0 + 32].allSatisfy { $0 == 0 } }
          #expect(type == .iq3s && hasEmptySubBlock, "\(name), block \(block) at level \(level)")
          let weights = weights?[start..<start + 256]
          #expect(error(layout, own[range], x, weights) < error(layout, golden[range], x, weights), "block \(block)")
        }
      }
    }
  }

  @Test(arguments: GridType.allCases) func kernelsOfEveryLevelEqualTheReadableRule(type: GridType) throws {
    let scheme = GridBlocks(type), samples = BlockSamples(columns: 256, copies: 1)
    // The bits of a scale that is not finite depend on the order of operands: no conversion stores one.
    let overflows = (0..<samples.rows).filter { row in
      !samples.values[row * samples.columns..<(row + 1) * samples.columns].reduce(0, { $0 + $1 * $1 }).isFinite
    }
    for importance in [nil, samples.importance, [Float](repeating: 0, count: samples.columns)] {
      var readable = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
      samples.matrix.withPanel { scheme.readableEncode($0, importance: importance, into: &readable) }
      let expected = GGUFBlockPacking().pack(readable, rows: 0..<samples.rows, of: [samples.rows, samples.columns], scheme: scheme)[0]
      for level in 0...qc_cpu_level() {
        let bytes = try Self.bytes(type, samples.values, rows: samples.rows, importance: importance, level: level)
        let rowBytes = scheme.layout.rowBytes(columns: samples.columns)
        let differing = Set(bytes.indices.filter { bytes[$0] != expected[$0] }.map { $0 / rowBytes }).subtracting(overflows)
        #expect(differing.isEmpty, "rows \(differing.sorted()) at level \(level), importance: \(importance != nil)")
      }
    }
  }

  @Test(arguments: GridType.allCases) func rowsAreRoundedAloneAsTogether(type: GridType) throws {
    // Lanes hold sub-blocks of neighbouring super-blocks: no result may depend on its neighbours.
    for importance in [nil, importance] {
      for level in 0...qc_cpu_level() {
        let together = try Self.bytes(type, rows, rows: Self.rowCount, importance: importance, level: level)
        var alone: [UInt8] = []
        for row in 0..<Self.rowCount {
          for block in 0..<2 {
            let start = row * Self.columns + 256 * block
            alone += try Self.bytes(
              type, Array(rows[start..<start + 256]), rows: 1, importance: importance.map { Array($0[256 * block..<256 * (block + 1)]) },
              level: level)
          }
        }
        #expect(together == alone, "level \(level)")
      }
    }
  }

  @Test(arguments: GridType.allCases) func threadsGetTheSameBytes(type: GridType) throws {
    let level = qc_cpu_level(), rowBytes = type.block.rowBytes(columns: Self.columns)
    let found = Mutex<[Int: [UInt8]]>([:])
    Parallel(threads: 3).forEach(Self.rowCount) { row in
      let own = Array(rows[row * Self.columns..<(row + 1) * Self.columns])
      let bytes = try? Self.bytes(type, own, rows: 1, importance: importance, level: level)
      found.withLock { $0[row] = bytes }
    }
    let expected = try Self.bytes(type, rows, rows: Self.rowCount, importance: importance, level: level)
    let all = found.withLock { $0 }
    for row in 0..<Self.rowCount { #expect(all[row] == Array(expected[row * rowBytes..<(row + 1) * rowBytes]), "row \(row)") }
  }
}
