import QuantCore

/// Rounds one matrix. Every tile is a row of its own.
struct HalfQuadraticRounder: Rounder {
  private let scheme: any Scheme
  private let importance: [Float]?
  private let solver: HalfQuadratic.Solver
  /// The parameters that move all values of their columns alike: zero points and minima.
  private let shifts: [AdjustableParameter]

  init(scheme: any Scheme, importance: [Float]?, solver: HalfQuadratic.Solver) {
    self.scheme = scheme
    self.importance = importance
    self.solver = solver
    shifts = scheme.grid.tileRows == 1 ? scheme.shiftParameters : []
  }

  var record: RoundingRecord {
    shifts.isEmpty
      ? RoundingRecord(fallback: "\(scheme.name) has no zero points or minima; rounded by its own rule instead") : RoundingRecord()
  }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: importance, into: &result)
    if shifts.isEmpty || result.parameters.isEmpty { return }
    let columns = panel.columns, slopes = slopes(of: result)
    var best = result.parameters, bestErrors = [Float](repeating: .infinity, count: slopes.count)
    var values = [Float](repeating: 0, count: panel.rows * columns)
    var beta = solver.beta
    for round in 0...solver.rounds {
      if round > 0 { scheme.nearest(panel, columns: 0..<columns, into: &result) }
      // Errors up to this magnitude have nothing to set aside, which spares most of the powers.
      let least = Power.of(beta, -1 / (2 - solver.power))
      values.withUnsafeMutableBufferPointer { values in
        guard let values = values.baseAddress else { return }
        scheme.value(result, columns: 0..<columns, into: values)
        forEachShift(of: result) { row, shift, own, parameter, number in
          let rest = rest(panel.row(row), values + row * columns, columns: own, beta: beta, least: least)
          if rest.error < bestErrors[number] {
            bestErrors[number] = rest.error
            best[parameter] = result.parameters[parameter]
          }
          guard slopes[number] != 0, let moved = shift.stored(result.parameters[parameter] + rest.mean / slopes[number]) else { return }
          result.parameters[parameter] = moved
        }
      }
      beta *= solver.growth
    }
    result.parameters = best
    scheme.nearest(panel, columns: 0..<columns, into: &result)
  }

  /// Calls `body` with each shift of each tile: its row, the columns of the panel that it moves, its place among the parameters, and its
  /// number in that order.
  private func forEachShift(
    of panel: QuantizedPanel,
    _ body: (_ row: Int, _ shift: AdjustableParameter, _ columns: Range<Int>, _ parameter: Int, _ number: Int) -> Void
  ) {
    // The layout alone, so that the body may change parameters.
    let (rows, groups, length, width, count) = (panel.rows, panel.groupsPerRow, panel.groupLength, panel.columns, panel.parameterCount)
    var number = 0
    for row in 0..<rows {
      for group in 0..<groups {
        let first = group * length, tile = first..<min(width, first + length)
        for shift in shifts {
          let own = shift.columns.map { $0.lowerBound + first..<$0.upperBound + first }?.clamped(to: tile) ?? tile
          body(row, shift, own, (row * groups + group) * count + shift.index, number)
          number += 1
        }
      }
    }
  }

  /// The mean absolute error of some values of a row, and the mean of what is left of the errors without outliers.
  private func rest(
    _ weights: UnsafePointer<Float>, _ values: UnsafePointer<Float>, columns: Range<Int>, beta: Float, least: Float
  ) -> (error: Float, mean: Float) {
    var sum: Float = 0, rest: Float = 0
    for column in columns {
      let error = weights[column] - values[column], magnitude = error.magnitude
      sum += magnitude
      let outlier = magnitude <= least ? 0 : max(magnitude - Power.of(magnitude, solver.power - 1) / beta, 0)
      rest += error < 0 ? outlier - magnitude : magnitude - outlier
    }
    let count = Float(max(1, columns.count))
    return (sum / count, rest / count)
  }

  /// How much values grow with each shift of each tile, by its number.
  private func slopes(of panel: QuantizedPanel) -> [Float] {
    var slopes = [Float](repeating: 0, count: panel.parameters.count / max(1, panel.parameterCount) * shifts.count)
    for (sign, setting) in [(Float(-1), Float(0)), (1, 1)] {
      for shift in shifts {
        var probe = panel
        for index in probe.codes.indices { probe.codes[index] = 0 }
        forEachShift(of: panel) { _, other, _, parameter, _ in
          if other == shift { probe.parameters[parameter] = setting }
        }
        let values = scheme.values(probe)
        forEachShift(of: panel) { row, other, columns, _, number in
          if other == shift { slopes[number] += sign * values[row * panel.columns + columns.lowerBound] }
        }
      }
    }
    return slopes
  }
}

extension Scheme {
  /// The adjustable parameters that move all values of their columns by the same amount, whatever the codes.
  fileprivate var shiftParameters: [AdjustableParameter] {
    let length = groupLength(columns: 8)
    return adjustableParameters.filter { parameter in
      let columns = parameter.columns ?? 0..<length
      guard columns.count > 1 else { return false }
      var probe = emptyPanel(rows: 1, columns: length)
      // Parameters and codes that differ tell a shift from a factor of codes or of other parameters.
      for index in probe.parameters.indices { probe.parameters[index] = Float(index + 1) }
      for index in probe.codes.indices { probe.codes[index] = Int32(index & 1) }
      probe.parameters[parameter.index] = 0
      let low = values(probe)
      probe.parameters[parameter.index] = 1
      let high = values(probe)
      let slope = high[columns.lowerBound] - low[columns.lowerBound]
      return columns.allSatisfy { high[$0] - low[$0] == slope }
    }
  }
}
