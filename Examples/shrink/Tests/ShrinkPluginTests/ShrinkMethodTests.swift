import QuantCore
import ShrinkPlugin
import Testing

/// The weights after rounding, dequantized.
private func rounded(_ weights: Matrix, to smallest: String, scheme: any Scheme) throws -> [Float] {
  let options = try OptionValues(["to": smallest], declarations: ShrinkMethod.options, plugin: ShrinkMethod.id)
  let task = RoundingTask(id: nil, name: "weights", scheme: scheme, statistics: nil)
  let rounder = try #require(try ShrinkMethod(options).rounder(for: task))
  var result = scheme.emptyPanel(rows: weights.rows, columns: weights.columns)
  weights.withPanel { rounder.round($0, rows: Array(0..<weights.rows), into: &result) }
  return scheme.values(result)
}

private func squaredError(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }

@Test func aRowWithAnOutlierLosesLess() throws {
  let scheme = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .f32))
  // The other weights are half a step away from 0, on the scale that the one large weight needs.
  let weights = Matrix(rows: 1, columns: 32, values: (0..<32).map { $0 == 5 ? 1 : $0 % 2 == 0 ? 1 / 15 : -1 / 15 })
  let plain = weights.withPanel { scheme.roundTrip($0) }
  let kept = try rounded(weights, to: "1", scheme: scheme)
  #expect(kept == plain, "without clamping, the result is that of the scheme's own rule")
  #expect(try squaredError(rounded(weights, to: "0.5", scheme: scheme), weights.values) < squaredError(plain, weights.values))
}

@Test func fractionsOutsideOfTheRangeAreRefused() {
  #expect(throws: Failure.self) {
    try ShrinkMethod(OptionValues(["to": "7"], declarations: ShrinkMethod.options, plugin: ShrinkMethod.id))
  }
}
