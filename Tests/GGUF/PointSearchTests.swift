import CBlocks
import QuantCore
import Testing

@testable import GGUF

/// Points chosen for 8 weights whose errors count together.
struct PointSearchTests {
  private static let rows = 24

  /// Neighbouring columns are correlated, and some are louder.
  private static let metric: [Float] = (0..<64).map { place in
    let (i, j) = place.quotientAndRemainder(dividingBy: 8)
    func loudness(_ c: Int) -> Float { 0.5 + Float(c * 5 % 7) / 3 }
    return Power.of(0.8, Float(abs(i - j))) * loudness(i) * loudness(j)
  }

  private let weights: Matrix = {
    var random = BlockSamples.Generator(state: 5)
    return Matrix(rows: rows, columns: 256, values: (0..<rows * 256).map { _ in random.uniform() + random.uniform() - 1 })
  }()

  private func error(_ values: ArraySlice<Float>, _ x: ArraySlice<Float>) -> Double {
    let errors = zip(values, x).map { Double($0) - Double($1) }
    return (0..<64).reduce(0.0) { $0 + errors[$1 / 8] * Double(PointSearchTests.metric[$1]) * errors[$1 % 8] }
  }

  private func errors(_ scheme: GridBlocks, _ panel: QuantizedPanel, columns: Range<Int>) -> [Double] {
    let values = scheme.values(panel)
    return (0..<PointSearchTests.rows).map { row in
      let place = row * 256 + columns.lowerBound..<row * 256 + columns.upperBound
      return error(values[place], weights.values[place])
    }
  }

  /// The smallest error among all points, and all signs that can be stored, in types with one point for 8 weights.
  private func smallest(_ scheme: GridBlocks, _ panel: QuantizedPanel, row: Int, columns: Range<Int>) -> Double {
    let type = scheme.type, points = GridPoints(type.grid)
    var single = scheme.emptyPanel(rows: 1, columns: 256)
    let count = single.parameterCount
    for p in 0..<count { single.parameters[p] = panel.parameters[row * count + p] }
    let signs = type.isTernary ? [0] : (0..<256).filter { type.storedSigns == 8 || $0.nonzeroBitCount.isMultiple(of: 2) }
    let place = row * 256 + columns.lowerBound..<row * 256 + columns.upperBound
    var best = Double.infinity, values = [Float](repeating: 0, count: 256)
    for index in 0..<points.count {
      for sign in signs {
        for i in 0..<8 {
          let level = points.level(i, of: index)
          single.codes[columns.lowerBound + i] = type.isTernary ? level : 2 * level + Int32(sign >> i & 1)
        }
        values.withUnsafeMutableBufferPointer { buffer in
          if let base = buffer.baseAddress { scheme.value(single, columns: columns, into: base) }
        }
        best = min(best, error(values[columns.lowerBound..<columns.upperBound], weights.values[place]))
      }
    }
    return best
  }

  @Test(arguments: GridType.allCases) func pointsAreChosenByWhatTheirErrorsCostTogether(type: GridType) throws {
    let scheme = GridBlocks(type), columns = 40..<48
    var panel = scheme.emptyPanel(rows: PointSearchTests.rows, columns: 256)
    let importance = [Float](repeating: 1, count: 256)
    weights.withPanel { scheme.encode($0, importance: importance, into: &panel) }
    var plain = panel
    weights.withPanel { scheme.nearest($0, columns: columns, into: &plain) }
    weights.withPanel { scheme.nearest($0, columns: columns, metric: PointSearchTests.metric, into: &panel) }
    let found = errors(scheme, panel, columns: columns), before = errors(scheme, plain, columns: columns)
    #expect(found.reduce(0, +) < 0.9 * before.reduce(0, +))
    // Other columns are left alone.
    #expect(panel.codes.indices.allSatisfy { columns.contains($0 % 256) || panel.codes[$0] == plain.codes[$0] })
    // What is found can be stored.
    let packing = GGUFBlockPacking()
    let bytes = packing.pack(panel, rows: 0..<PointSearchTests.rows, of: [PointSearchTests.rows, 256], scheme: scheme)[0]
    #expect(bytes.withUnsafeBytes { packing.unpack($0, layout: type.block.name, rows: PointSearchTests.rows, columns: 256) } == panel)
    guard [.iq2xxs, .iq1s].contains(type) else { return }
    let best = (0..<4).map { smallest(scheme, panel, row: $0, columns: columns) }
    #expect(found[0..<4].reduce(0, +) < 1.6 * best.reduce(0, +), "\(found[0..<4]) against \(best)")
  }

  @Test(arguments: GridType.allCases) func resultsAreTheSameOnEveryProcessor(type: GridType) throws {
    let source = weights.values.map { $0 * 40 }, count = GridPoints(type.grid).count, runs = 8 / type.pointLength
    let results = (Int32(QC_BASELINE)...qc_cpu_level()).map { level in
      var indices = [UInt16](repeating: 0, count: source.count / 8 * runs), signs = [UInt8](repeating: 0, count: source.count / 8)
      var scratch = [Float](repeating: 0, count: count * runs)
      type.coordinates.withUnsafeBufferPointer { points in
        guard let base = points.baseAddress else { return }
        var rule = qc_point_rule(
          points: base, length: Int32(type.pointLength), count: Int32(count), signs: type.isTernary ? 0 : Int32(type.storedSigns))
        qc_point_searcher_at(level)(
          &rule, source, Int64(source.count / 8), PointSearchTests.metric, &scratch, &indices, &signs)
      }
      return indices + signs.map { UInt16($0) }
    }
    #expect(results.allSatisfy { $0 == results[0] })
    #expect(Set(results[0]).count > 20)
  }
}
