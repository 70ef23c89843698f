import QuantCore
import Testing

@Suite struct IntegerRangeTests {
  /// The smallest weighted error of a group by trying scales in steps of a thousandth, and all zero points.
  private func smallestError(_ x: [Float], _ importance: [Float], bits: Int, isSymmetric: Bool) -> Double {
    let levels = 1 << bits, magnitude = x.map(\.magnitude).max() ?? 0
    var best = Double.infinity
    for zero in isSymmetric ? [levels / 2] : Array(0..<levels) {
      for step in 1...2000 {
        for sign in isSymmetric ? [Float(1), -1] : [1] {
          let scale = sign * magnitude * Float(step) / 1000 / Float(levels / 2)
          var error = 0.0
          for (value, weight) in zip(x, importance) {
            let code = min(max((value / scale).rounded() + Float(zero), 0), Float(levels - 1))
            let difference = Double((code - Float(zero)) * scale - value)
            error += Double(weight) * difference * difference
          }
          best = min(best, error)
        }
      }
    }
    return best
  }

  private func error(_ scheme: any Scheme, _ matrix: Matrix, _ importance: [Float]) -> Double {
    let values = matrix.withPanel { scheme.roundTrip($0, importance: importance) }
    return values.indices.reduce(0) {
      let difference = Double(values[$1] - matrix.values[$1])
      return $0 + Double(importance[$1]) * difference * difference
    }
  }

  @Test(arguments: ["int2-g32", "int3-g32", "int4-g32", "int2-g32-asym", "int3-g32-asym", "int4-g32-asym"])
  func theWiderSearchIsCloseToTheBestRange(_ name: String) throws {
    let rule = try #require(IntegerSchemes.scheme(named: name, modelType: .f32) as? IntegerScheme)
    let wide = try #require(rule.widerSearch)
    #expect(wide.name == rule.name && wide.grid == rule.grid)
    var state: UInt32 = 3
    /// Between -1 and 1, more often near 0.
    func next() -> Float {
      state = state &* 1_664_525 &+ 1_013_904_223
      let uniform = Float(state >> 8) / Float(1 << 23) - 1
      return uniform * uniform.magnitude
    }
    var found = 0.0, best = 0.0, plain = 0.0
    for _ in 0..<20 {
      let matrix = Matrix(rows: 1, columns: 32, values: (0..<32).map { _ in next() })
      let importance = (0..<32).map { _ in abs(next()) + 0.05 }
      let own = error(wide, matrix, importance), ruled = error(rule, matrix, importance)
      #expect(own <= ruled)
      found += own
      plain += ruled
      best += smallestError(matrix.values, importance, bits: rule.bits, isSymmetric: rule.isSymmetric)
    }
    #expect(found <= best * 1.1 && found < plain * 0.9, "\(found), best \(best), rule \(plain)")
  }

  @Test func theSearchIsLedByImportance() throws {
    let rule = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .bf16))
    let wide = try #require(rule.widerSearch)
    // One large weight that does not matter, within what the search shrinks ranges to.
    var values = (0..<32).map { Float($0 % 8) / 8 - 0.45 }
    values[5] = 1.25
    let matrix = Matrix(rows: 1, columns: 32, values: values)
    var importance = [Float](repeating: 1, count: 32)
    importance[5] = 0
    #expect(error(wide, matrix, importance) < 0.25 * error(rule, matrix, importance))
  }

  @Test func oddGroupsKeepTheRulesParameters() throws {
    let rule = try #require(IntegerSchemes.scheme(named: "int4-g8", modelType: .f32))
    let wide = try #require(rule.widerSearch)
    for value in [Float(0), .nan, .infinity] {
      let matrix = Matrix(rows: 1, columns: 8, values: [Float](repeating: value, count: 8))
      var quantized = wide.emptyPanel(rows: 1, columns: 8), expected = quantized
      matrix.withPanel {
        wide.fit($0, importance: nil, into: &quantized)
        rule.fit($0, importance: nil, into: &expected)
      }
      #expect(zip(quantized.parameters, expected.parameters).allSatisfy { $0.bitPattern == $1.bitPattern })
    }
  }
}
