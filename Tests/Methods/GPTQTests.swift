import GGUF
import GPTQ
import QuantCore
import Testing

@Suite struct GPTQTests {
  private let id = TensorID(.up, block: 0)

  private func gptq(_ options: [String: String] = [:]) throws -> GPTQ {
    try GPTQ(OptionValues(options, declarations: GPTQ.options, plugin: GPTQ.id))
  }

  /// The pass through the columns alone, as published.
  private let pass = ["order": "static", "ranges": "off", "refine": "0", "rescale": "off"]

  private func scheme(_ name: String) throws -> any Scheme {
    try #require(
      IntegerScheme.named(name) ?? GGUFBlocks.scheme(named: name, modelType: .f32) ?? GGUFGrids.scheme(named: name, modelType: .f32))
  }

  private func weights(rows: Int, columns: Int) -> Matrix {
    var random = SystemlessRandom(seed: 21)
    return Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in random.normal() / 50 })
  }

  private func statistics(_ channels: Int, _ element: (Int, Int) -> Float) -> SiteStatistics {
    var statistics = SiteStatistics(channels: channels)
    statistics.tokens = 1000
    statistics.gram = (0..<channels * channels).map { element($0 / channels, $0 % channels) }
    return statistics
  }

  /// Neighbouring channels are correlated, and some are larger: `H_ij = 0.9^|i−j|·σ_i·σ_j`, exactly positive definite.
  private func correlated(_ channels: Int) -> SiteStatistics {
    func loudness(_ c: Int) -> Float { 1 + 0.37 * Float(c * 7919 % 13) }
    return statistics(channels) { Power.of(0.9, Float(abs($0 - $1))) * loudness($0) * loudness($1) * 100 }
  }

  private func round(_ matrix: Matrix, _ scheme: any Scheme, _ rounder: any Rounder) -> QuantizedPanel {
    var quantized = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
    matrix.withPanel { rounder.round($0, rows: Array(0..<matrix.rows), into: &quantized) }
    return quantized
  }

  private func rounder(
    _ scheme: any Scheme, _ statistics: SiteStatistics, _ options: [String: String] = [:], threads: Int = 1
  ) throws -> any Rounder {
    let task = RoundingTask(id: id, name: "up", scheme: scheme, statistics: statistics, parallel: Parallel(threads: threads))
    return try #require(try gptq(options).rounder(for: task))
  }

  /// `tr(ΔW·H·ΔWᵀ)` in double precision, by its definition.
  private func outputError(_ values: [Float], _ original: Matrix, _ gram: [Float]) -> Double {
    let columns = original.columns
    var total = 0.0
    for row in 0..<original.rows {
      let delta = (0..<columns).map { Double(values[row * columns + $0] - original[row, $0]) }
      for i in 0..<columns {
        for j in 0..<columns { total += delta[i] * Double(gram[i * columns + j]) * delta[j] }
      }
    }
    return total
  }

  @Test(
    arguments: [
      "int4-g128", "int4-g32", "int4-g128-asym", "int4-g64-asym", "int8-g128", "int8-channel", "int4-channel", "q4_0", "q4_1", "q5_0",
      "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s",
    ], ["static", "block", "plain"])
  func feedbackLowersTheOutputErrorOfEveryScheme(_ name: String, _ order: String) throws {
    let scheme = try scheme(name)
    let matrix = weights(rows: 6, columns: 512), statistics = correlated(512)
    let quantized = try round(matrix, scheme, rounder(scheme, statistics, ["order": order]))
    let importance = scheme.importanceNeed == .none ? nil : (0..<512).map { statistics.gram[$0 * 512 + $0] }
    let nearest = outputError(matrix.withPanel { scheme.roundTrip($0, importance: importance) }, matrix, statistics.gram)
    let feedback = outputError(scheme.values(quantized), matrix, statistics.gram)
    #expect(feedback < nearest * 0.7, "\(feedback) against \(nearest)")
  }

  /// Optimal brain quantization by its definition: round a column, distribute its error to the others with the inverse of what is
  /// left of H, eliminate the column from the inverse. In double precision, without factorizing. Errors are computed from values
  /// that are rounded to `values`.
  private func twin(
    _ matrix: Matrix, _ scheme: any Scheme, _ statistics: SiteStatistics, damp: Double, values valueType: ElementType
  ) -> QuantizedPanel {
    let size = matrix.columns
    var quantized = scheme.emptyPanel(rows: matrix.rows, columns: size)
    matrix.withPanel { scheme.fit($0, importance: nil, into: &quantized) }
    let diagonal = (0..<size).map { statistics.gram[$0 * size + $0] }
    let mean = diagonal.reduce(0.0) { $0 + Double($1) } / Double(size)
    var inverse = statistics.gram.map { Double($0) }
    for i in 0..<size { inverse[i * size + i] += damp * mean }
    // In place, by pivoting every diagonal element.
    for p in 0..<size {
      let pivot = 1 / inverse[p * size + p]
      for j in 0..<size where j != p { inverse[p * size + j] *= pivot }
      for i in 0..<size where i != p {
        let factor = inverse[i * size + p]
        for j in 0..<size where j != p { inverse[i * size + j] -= factor * inverse[p * size + j] }
        inverse[i * size + p] = -factor * pivot
      }
      inverse[p * size + p] = pivot
    }
    var current = matrix
    var left = (0..<size).sorted { diagonal[$0] == diagonal[$1] ? $0 < $1 : diagonal[$0] > diagonal[$1] }
    while let column = left.first {
      left.removeFirst()
      current.withPanel { scheme.nearest($0, columns: column..<column + 1, into: &quantized) }
      let values = scheme.values(quantized).map { NumberConversion.rounded($0, to: valueType) }
      for row in 0..<matrix.rows {
        let error = Double(current[row, column] - values[row * size + column]) / inverse[column * size + column]
        for j in left { current[row, j] = Float(Double(current[row, j]) - error * inverse[column * size + j]) }
      }
      let pivot = inverse[column * size + column]
      let own = left.map { inverse[$0 * size + column] }
      for (a, i) in left.enumerated() {
        for (b, j) in left.enumerated() { inverse[i * size + j] -= own[a] * own[b] / pivot }
      }
    }
    return quantized
  }

  @Test(
    arguments: [
      ("int4-g32", "exact"), ("int4-g96-asym", "exact"), ("int8-channel", "exact"), ("int8-channel", "bf16"), ("int4-g32", "f16"),
    ])
  func codesAreThoseOfTheDefinition(_ name: String, _ values: String) throws {
    let scheme = try scheme(name)
    let matrix = weights(rows: 5, columns: 192), statistics = correlated(192)
    let quantized = try round(matrix, scheme, rounder(scheme, statistics, pass.merging(["damp": "0.02", "values": values]) { $1 }))
    func equalCodes(_ type: ElementType) -> Int {
      let expected = twin(matrix, scheme, statistics, damp: 0.02, values: type)
      #expect(quantized.parameters == expected.parameters)
      return zip(quantized.codes, expected.codes).count { $0 == $1 }
    }
    // A weight that is a tie in 32 bits may round the other way, and the rest of its row then differs.
    let same = equalCodes(ElementType(rawValue: values.uppercased()) ?? .f32)
    #expect(Double(same) > 0.97 * Double(quantized.codes.count), "\(same) of \(quantized.codes.count)")
    // With 8 bits, the rounding to BF16 changes codes.
    if values == "bf16" { #expect(Double(equalCodes(.f32)) < 0.9 * Double(quantized.codes.count)) }
  }

  @Test(arguments: ["int4-g128", "int8-channel", "q4_0", "q4_k"]) func withoutCorrelationNothingIsMoved(_ name: String) throws {
    let scheme = try scheme(name)
    let matrix = weights(rows: 6, columns: 512)
    let rounder = try rounder(scheme, statistics(512) { $0 == $1 ? 3 : 0 }, pass.merging(["importance": "off"]) { $1 })
    var expected = scheme.emptyPanel(rows: 6, columns: 512)
    matrix.withPanel {
      scheme.fit($0, importance: nil, into: &expected)
      scheme.nearest($0, columns: 0..<512, into: &expected)
    }
    #expect(round(matrix, scheme, rounder) == expected)
  }

  @Test(arguments: ["static", "block"]) func weightsOfDeadChannelsAreKept(_ order: String) throws {
    let scheme = try scheme("int8-g32")
    let silent = [0, 5, 40, 63]
    let matrix = weights(rows: 4, columns: 64)
    let loud = correlated(64)
    let rounder = try rounder(
      scheme, statistics(64) { silent.contains($0) || silent.contains($1) ? 0 : loud.gram[$0 * 64 + $1] }, ["order": order])
    let values = scheme.values(round(matrix, scheme, rounder))
    #expect(rounder.record.fallback == nil)
    for row in 0..<4 {
      for c in silent { #expect(abs(values[row * 64 + c] - matrix[row, c]) < 0.001) }
    }
  }

  @Test func indefiniteMatricesAreDampedMoreOrRoundedPlainly() throws {
    let scheme = try scheme("int4-g32")
    let matrix = weights(rows: 4, columns: 64)
    /// Eigenvalues 1 ± `coupling`.
    func pairs(_ coupling: Float) -> SiteStatistics {
      statistics(64) { $0 == $1 ? 1 : $0 / 2 == $1 / 2 ? coupling : 0 }
    }
    let recovered = try rounder(scheme, pairs(1.25))
    #expect(recovered.record.fallback?.contains("damp=0.32") == true)
    let plain = matrix.withPanel { scheme.roundTrip($0) }
    #expect(scheme.values(round(matrix, scheme, recovered)) != plain)
    for hopeless in [pairs(2), statistics(64) { _, _ in .nan }, statistics(64) { _, _ in 0 }, statistics(64) { _, _ in .infinity }] {
      let rounder = try rounder(scheme, hopeless)
      #expect(rounder.record.fallback?.contains("rounded to nearest") == true)
      #expect(scheme.values(round(matrix, scheme, rounder)) == plain)
    }
  }

  @Test func fewerTokensThanChannelsAreRoundedPlainly() throws {
    let scheme = try scheme("int4-g32")
    let matrix = weights(rows: 4, columns: 64)
    var starved = correlated(64)
    starved.tokens = 63
    let plain = try rounder(scheme, starved)
    #expect(plain.record.fallback?.contains("63 tokens") == true)
    #expect(scheme.values(round(matrix, scheme, plain)) == matrix.withPanel { scheme.roundTrip($0) })
    starved.tokens = 64
    #expect(try rounder(scheme, starved).record.fallback == nil)
  }

  @Test(arguments: ["int8-g32", "q4_k"]) func correctionCompensatesEarlierErrors(_ name: String) throws {
    let scheme = try scheme(name)
    let channels = 256, tokens = 2048
    let matrix = weights(rows: 4, columns: channels)
    var random = SystemlessRandom(seed: 5)
    // Before the layer, a tenth of each channel was lost and replaced by its neighbour's value.
    let original = (0..<tokens * channels).map { _ in random.normal() }
    let observed = original.indices.map { 0.9 * original[$0] + 0.1 * original[$0 / channels * channels + ($0 + 1) % channels] }
    var statistics = SiteStatistics(channels: channels)
    statistics.tokens = tokens
    statistics.gram = [Float](repeating: 0, count: channels * channels)
    statistics.cross = statistics.gram
    for t in 0..<tokens {
      for i in 0..<channels {
        let x = observed[t * channels + i], lost = original[t * channels + i] - x
        for j in 0..<channels {
          statistics.gram[i * channels + j] += x * observed[t * channels + j]
          statistics.cross[i * channels + j] += lost * observed[t * channels + j]
        }
      }
    }
    func distance(_ share: String) throws -> Double {
      let values = try scheme.values(round(matrix, scheme, rounder(scheme, statistics, ["correct": share])))
      var sum = 0.0
      for t in 0..<tokens {
        for row in 0..<4 {
          var wanted = 0.0, got = 0.0
          for c in 0..<channels {
            wanted += Double(matrix[row, c]) * Double(original[t * channels + c])
            got += Double(values[row * channels + c]) * Double(observed[t * channels + c])
          }
          sum += (wanted - got) * (wanted - got)
        }
      }
      return sum
    }
    let (none, half, whole) = try (distance("0"), distance("0.5"), distance("1"))
    #expect(whole < half && half < none)
    #expect(whole < none * 0.5, "\(whole) against \(none)")
  }

  @Test func weightsThatAreNotFiniteDoNotTrap() throws {
    for name in ["int4-g32", "q4_0", "q4_k"] {
      let scheme = try scheme(name)
      var matrix = weights(rows: 3, columns: 256)
      matrix[1, 7] = .nan
      matrix[2, 9] = .infinity
      let clean = weights(rows: 3, columns: 256)
      let rounder = try rounder(scheme, correlated(256))
      let damaged = round(matrix, scheme, rounder), whole = round(clean, scheme, rounder)
      #expect(damaged.codes[0..<256] == whole.codes[0..<256], "other rows do not change")
    }
  }

  @Test func neitherThreadsNorTilesChangeTheResult() throws {
    let scheme = try scheme("q4_0")
    let matrix = weights(rows: 7, columns: 288), statistics = correlated(288)
    let whole = try round(matrix, scheme, rounder(scheme, statistics, threads: 1))
    for threads in 2...3 { #expect(try round(matrix, scheme, rounder(scheme, statistics, threads: threads)) == whole) }
    let rounder = try rounder(scheme, statistics)
    for row in 0..<7 {
      var one = scheme.emptyPanel(rows: 1, columns: 288)
      matrix.withPanel(rows: row..<row + 1) { rounder.round($0, rows: [row], into: &one) }
      #expect(Array(whole.codes[row * 288..<(row + 1) * 288]) == one.codes)
    }
  }

  @Test func unquantizedTensorsAndMissingStatisticsAreLeftAlone() throws {
    let method = try gptq()
    let float = try #require(FloatSchemes.scheme(named: "bf16", modelType: .f32))
    #expect(try method.rounder(for: RoundingTask(id: id, name: "up", scheme: float, statistics: correlated(64))) == nil)
    #expect(try method.rounder(for: RoundingTask(id: id, name: "up", scheme: scheme("q4_0"), statistics: nil)) == nil)
  }

  @Test func optionsAreChecked() {
    let wrong = [
      ["damp": "0.6"], ["damp": "-1"], ["order": "random"], ["correct": "1.5"], ["importance": "maybe"], ["values": "f8"], ["bits": "4"],
    ]
    for options in wrong {
      #expect(throws: Failure.self) { try gptq(options) }
    }
  }
}
