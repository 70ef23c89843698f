import CBlocks
import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// `--search best`: the same grids, never a larger error.
struct WideSearchTests {
  /// Schemes with a wider search, and the share of the default's error that must disappear on ordinary weights.
  static let gains = [
    "q4_0": 0.05, "q4_1": 0.02, "q5_0": 0.03, "q5_1": 0.02, "q2_k": 0.05, "q3_k": 0.05, "q4_k": 0.02, "q5_k": 0.01, "q6_k": 0.01,
    "iq4_nl": 0.01, "iq4_xs": 0.01, "tq1_0": 0.5, "tq2_0": 0.5, "q1_0": 0, "q2_0": 0.5,
  ]
  /// Without the rows whose scales overflow 16-bit floats, or whose squares overflow floats.
  let samples: Matrix
  let importance: [Float]

  init() {
    let all = BlockSamples()
    let kinds = all.rows / 2
    let kept = (0..<all.rows).filter { $0 % kinds < 17 }
    samples = Matrix(
      rows: kept.count, columns: all.columns, values: kept.flatMap { all.values[$0 * all.columns..<($0 + 1) * all.columns] })
    importance = all.importance
  }

  /// Weighted squared errors, block after block.
  private func errors(_ scheme: any Scheme, importance: [Float]?, matrix: Matrix) -> [Double] {
    let values = matrix.withPanel { scheme.roundTrip($0, importance: importance) }
    let length = scheme.groupLength(columns: matrix.columns), shared = scheme.grid.scaleLength ?? length
    return stride(from: 0, to: values.count, by: length).map { start in
      (start..<start + length).reduce(0.0) { sum, i in
        let difference = Double(values[i]) - Double(matrix.values[i])
        // Without importance, and with codes of few bits, large weights count more.
        let own = i / shared * shared..<(i / shared + 1) * shared
        let square = own.reduce(Float(0)) { $0 + matrix.values[$1] * matrix.values[$1] }
        let size = (square / Float(shared)).squareRoot() + matrix.values[i].magnitude
        let weight = importance.map { $0[i % matrix.columns] * (scheme.grid.codeBits > 2 ? 1 : size) } ?? size
        return sum + Double(weight) * difference * difference
      }
    }
  }

  @Test(arguments: gains.keys.sorted()) func noBlockGetsALargerErrorAndOrdinaryWeightsGain(name: String) throws {
    let scheme = try #require(GGUFBlocks.scheme(named: name, modelType: .f32))
    let wide = try #require(scheme.widerSearch)
    #expect(wide.name == scheme.name && wide.grid == scheme.grid)
    for importance in [nil, importance, [Float](repeating: 0, count: samples.columns)] {
      let standard = errors(scheme, importance: importance, matrix: samples), best = errors(wide, importance: importance, matrix: samples)
      for (block, pair) in zip(best, standard).enumerated() { #expect(pair.0 <= pair.1, "block \(block)") }
    }
    let gaussian = Matrix(rows: 1, columns: samples.columns, values: Array(samples.values[0..<samples.columns]))
    for importance in [nil, importance] {
      let standard = errors(scheme, importance: importance, matrix: gaussian).reduce(0, +)
      let gain = 1 - errors(wide, importance: importance, matrix: gaussian).reduce(0, +) / standard
      #expect(gain >= (Self.gains[name] ?? 1), "\(gain)")
    }
  }

  @Test(arguments: gains.keys.sorted()) func everyLevelFindsTheSameParameters(name: String) throws {
    let layout = try #require(BlockType.named(name))
    let scheme = try #require(GGUFBlocks.blockScheme(named: name))
    var fitted = scheme.emptyPanel(rows: samples.rows, columns: samples.columns)
    samples.withPanel { scheme.fit($0, importance: nil, into: &fitted) }
    var found: [[UInt32]] = []
    for level in 0...qc_cpu_level() {
      let refine = try #require(qc_block_refiner_at(layout.kernel, level))
      var parameters = fitted.parameters
      let weights = [Float](repeating: 1, count: samples.values.count)
      refine(samples.values, weights, Int64(samples.values.count / layout.weights), &parameters)
      found.append(bits(parameters))
    }
    for other in found.dropFirst() { #expect(other == found[0]) }
  }

  @Test func otherSchemesHaveNone() throws {
    for name in ["q8_0", "mxfp4-ggml", "nvfp4-ggml"] { #expect(GGUFBlocks.scheme(named: name, modelType: .f32)?.widerSearch == nil) }
    #expect(FloatScheme.f32.widerSearch == nil)
  }
}
