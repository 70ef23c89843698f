import GGUF
import GPTQ
import QuantCore
import Testing

@Suite struct RefinementTests {
  private static let names = [
    "int2-g64-asym", "int3-g128", "int4-g32", "int4-g128-asym", "int4-channel", "int8-g128", "int4-g64-affine", "q4_0", "q4_1", "q5_0",
    "q5_1",
    "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s",
  ]

  private func scheme(_ name: String) throws -> any Scheme {
    try #require(
      IntegerScheme.named(name) ?? AffineSchemes.scheme(named: name, modelType: .f32) ?? GGUFBlocks.scheme(named: name, modelType: .f32)
        ?? GGUFGrids.scheme(named: name, modelType: .f32))
  }

  private static let columns = 512

  private func weights(rows: Int) -> Matrix {
    var random = SystemlessRandom(seed: 77)
    let columns = RefinementTests.columns
    return Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in random.normal() / 50 })
  }

  /// Correlated channels of different power.
  private var statistics: SiteStatistics {
    let columns = RefinementTests.columns
    func power(_ c: Int) -> Float { 1 + 0.31 * Float(c * 7919 % 11) }
    var statistics = SiteStatistics(channels: columns)
    statistics.tokens = 4000
    statistics.gram = (0..<columns * columns).map {
      let (i, j) = $0.quotientAndRemainder(dividingBy: columns)
      return Power.of(0.8, Float(abs(i - j))) * power(i) * power(j)
    }
    return statistics
  }

  private func values(_ matrix: Matrix, _ scheme: any Scheme, _ options: [String: String]) throws -> [Float] {
    let gptq = try GPTQ(OptionValues(options, declarations: GPTQ.options, plugin: GPTQ.id))
    let task = RoundingTask(id: TensorID(.up, block: 0), name: "up", scheme: scheme, statistics: statistics)
    let rounder = try #require(try gptq.rounder(for: task))
    var quantized = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
    matrix.withPanel { rounder.round($0, rows: Array(0..<matrix.rows), into: &quantized) }
    return scheme.values(quantized)
  }

  /// `x·H·yᵀ` of one row, H damped as GPTQ does by default, in doubles.
  private func product(_ x: [Double], _ y: [Double]) -> Double {
    let gram = statistics.gram, columns = RefinementTests.columns
    let mean = (0..<columns).reduce(0.0) { $0 + Double(gram[$1 * columns + $1]) } / Double(columns)
    var total = 0.0
    for i in 0..<columns {
      var sum = 0.01 * mean * y[i]
      for j in 0..<columns { sum += Double(gram[i * columns + j]) * y[j] }
      total += x[i] * sum
    }
    return total
  }

  private func row(_ values: [Float], _ row: Int) -> [Double] {
    values[row * RefinementTests.columns..<(row + 1) * RefinementTests.columns].map(Double.init)
  }

  @Test(arguments: names) func noRowGetsWorse(_ name: String) throws {
    let scheme = try scheme(name), matrix = weights(rows: 5)
    let results = try ["0", "1", "3"].map { try values(matrix, scheme, ["refine": $0, "rescale": "off"]) }
    var sums = [0.0, 0.0, 0.0]
    for number in 0..<matrix.rows {
      let own = row(matrix.values, number)
      let errors = results.map { values -> Double in
        let delta = zip(row(values, number), own).map { $0 - $1 }
        return product(delta, delta)
      }
      #expect(errors[1] <= errors[0] * 1.00001 && errors[2] <= errors[1] * 1.00001, "row \(number): \(errors)")
      for i in 0..<3 { sums[i] += errors[i] }
    }
    #expect(sums[1] < sums[0] * 0.995, "\(sums)")
  }

  @Test(arguments: names) func outputsOfRowsAreAsLargeAsThoseOfTheWeights(_ name: String) throws {
    let scheme = try scheme(name), matrix = weights(rows: 4)
    let before = try values(matrix, scheme, ["rescale": "off"]), after = try values(matrix, scheme, ["rescale": "on"])
    for number in 0..<matrix.rows {
      let own = row(matrix.values, number), size = product(own, own)
      let deviations = [before, after].map { abs(product(own, row($0, number)) / size - 1) }
      // What is left is the rounding of the stored scales.
      #expect(deviations[1] < max(0.0015, deviations[0] * 0.2), "row \(number): \(deviations)")
    }
  }

  /// What `AdjustableParameter` promises, at parameters that a matrix really has.
  @Test(arguments: names) func valuesAreLinearInEachParameter(_ name: String) throws {
    let scheme = try scheme(name), matrix = weights(rows: 2)
    var quantized = scheme.emptyPanel(rows: 2, columns: matrix.columns)
    matrix.withPanel { scheme.encode($0, importance: [Float](repeating: 1, count: matrix.columns), into: &quantized) }
    let parameters = scheme.adjustableParameters, length = quantized.groupLength
    #expect(!parameters.isEmpty)
    let before = scheme.values(quantized)
    for parameter in parameters {
      let place = quantized.parameterIndex(row: 1, group: 0) + parameter.index
      #expect(parameter.stored(quantized.parameters[place]) == quantized.parameters[place])
      var moved = quantized
      let series = [Float(1), 2, 3].map { step in
        moved.parameters[place] = step
        return scheme.values(moved)
      }
      for index in before.indices {
        let (first, second) = (series[1][index] - series[0][index], series[2][index] - series[1][index])
        #expect(abs(first - second) <= 1e-5 * max(abs(series[2][index]), 1e-6))
        let column = index - matrix.columns
        let isOwn = (0..<length).contains(column) && (parameter.columns?.contains(column) ?? true)
        if !isOwn { #expect(first == 0) }
      }
    }
    var doubled = quantized
    for tile in 0..<quantized.groupsPerRow {
      for parameter in parameters where parameter.isFactor {
        doubled.parameters[quantized.parameterIndex(row: 0, group: tile) + parameter.index] *= 2
      }
    }
    let after = scheme.values(doubled)
    for column in 0..<matrix.columns { #expect(after[column] == 2 * before[column]) }
  }
}
