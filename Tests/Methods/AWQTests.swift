import QuantCore
import RTN
import Testing

@testable import AWQ

private func awq(_ options: [String: String] = [:]) throws -> AWQ {
  try AWQ(OptionValues(options, declarations: AWQ.options, plugin: AWQ.id))
}

/// `tr(ΔW·H·ΔWᵀ)` in double precision, by its definition.
private func outputError(_ rounded: Matrix, _ original: Matrix, _ gram: [Float]) -> Double {
  var total = 0.0
  for row in 0..<original.rows {
    for i in 0..<original.columns {
      let di = Double(rounded[row, i] - original[row, i])
      for j in 0..<original.columns {
        total += di * Double(gram[i * original.columns + j]) * Double(rounded[row, j] - original[row, j])
      }
    }
  }
  return total
}

private func rounded(_ matrix: Matrix, _ scheme: any Scheme) -> Matrix {
  Matrix(rows: matrix.rows, columns: matrix.columns, values: matrix.withPanel { scheme.roundTrip($0) })
}

@Test func scalingLowersTheOutputErrorWithOutlierChannels() throws {
  let before = tinyWorkspace()
  var after = before
  _ = try awq().transform(&after)
  let scheme = try #require(before.schemes[.query])
  for site in before.graph.sites {
    let gramBefore = try #require(before.statistics[site]).gram
    let gramAfter = try #require(after.statistics[site]).gram
    var errorBefore = 0.0, errorAfter = 0.0
    for role in before.graph.consumers(of: site) {
      let old = try #require(before.matrices[role]), new = try #require(after.matrices[role])
      errorBefore += outputError(rounded(old, scheme), old, gramBefore)
      errorAfter += outputError(rounded(new, scheme), new, gramAfter)
    }
    // The identity is a candidate, so the error never grows; with outlier channels it is much smaller.
    #expect(errorAfter < errorBefore * 0.9, "\(site.name): \(errorAfter) against \(errorBefore)")
  }
}

@Test func onlyLoudSitesAreScaledIfAsked() throws {
  var block = tinyWorkspace()
  var random = SystemlessRandom(seed: 3)
  // As in models with such channels: what is loud meets small weights, of which rounding leaves little.
  for layer in [Layer.query, .key, .value] {
    for row in 0..<(block.matrices[layer]?.rows ?? 0) {
      for column in [3, 5] { block.matrices[layer]?[row, column] /= 20 }
    }
  }
  let attention = TensorID(.attentionNorm, block: 0), feedForward = TensorID(.feedForwardNorm, block: 0)
  let quiet = try #require(block.statistics[.feedForwardInput]?.channels)
  block.statistics[.feedForwardInput] = randomStatistics(channels: quiet, tokens: 200, loudness: 1, random: &random)
  let before = block
  let notes = try awq(["sites": "loud"]).transform(&block)
  #expect(block.vectors[attention] != before.vectors[attention] && block.matrices[.query] != before.matrices[.query])
  #expect(block.vectors[feedForward] == before.vectors[feedForward] && block.matrices[.gate] == before.matrices[.gate])
  #expect(notes.contains { $0.contains("attention.input") } && !notes.contains { $0.contains("feed-forward.input") })
}

@Test func aSampleOfRowsKeepsTilesWhole() {
  let matrix = Matrix(rows: 12, columns: 2, values: (0..<24).map { Float($0 / 2) })
  func rows(_ count: Int, _ together: Int) -> [Float] {
    let sample = matrix.sample(ofRows: count, together: together)
    return (0..<sample.rows).map { sample[$0, 1] }
  }
  #expect(rows(3, 1) == [0, 4, 8])
  #expect(rows(3, 2) == [0, 1, 6, 7])
  #expect(rows(12, 1) == (0..<12).map(Float.init) && rows(40, 5) == (0..<12).map(Float.init))
}

@Test func withoutQuantizedLayersNothingIsFolded() throws {
  var block = tinyWorkspace(scheme: nil)
  let before = block
  #expect(try awq().transform(&block).isEmpty)
  #expect(block.matrices == before.matrices && block.vectors == before.vectors)
}

@Test func theSearchOptionFoldsAlsoWhereLayersStayUnquantized() throws {
  var block = tinyWorkspace(scheme: nil)
  let before = block
  _ = try awq(["search": "int4-g16"]).transform(&block)
  #expect(block.vectors != before.vectors)
}

@Test func theScalesDoNotDependOnTheNumberOfThreads() throws {
  var one = tinyWorkspace(threads: 1), three = tinyWorkspace(threads: 3)
  _ = try awq().transform(&one)
  _ = try awq().transform(&three)
  #expect(one.matrices == three.matrices && one.vectors == three.vectors)
}

@Test func clippingNeverRaisesTheErrorOfAGroup() throws {
  let block = tinyWorkspace()
  let matrix = try #require(block.matrices[.up])
  let statistics = try #require(block.statistics[.feedForwardInput])
  let scheme = try #require(IntegerScheme.named("int4-g16"))
  let task = RoundingTask(id: TensorID(.up, block: 0), name: "up", scheme: scheme, statistics: statistics)
  let rounder = try #require(try awq().rounder(for: task))
  var quantized = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
  matrix.withPanel { rounder.round($0, rows: Array(0..<matrix.rows), into: &quantized) }
  var clipped = Matrix(rows: matrix.rows, columns: matrix.columns)
  clipped.values.withUnsafeMutableBufferPointer { buffer in
    if let base = buffer.baseAddress { scheme.value(quantized, columns: 0..<matrix.columns, into: base) }
  }
  // One group per row here, so the group's error is the row's.
  #expect(outputError(clipped, matrix, statistics.gram) < outputError(rounded(matrix, scheme), matrix, statistics.gram))
}

@Test func queriesAndKeysAreNotClipped() throws {
  let block = tinyWorkspace()
  let statistics = try #require(block.statistics[.attentionInput])
  let scheme = try #require(IntegerScheme.named("int4-g16"))
  for role in [Layer.query, .key] {
    let task = RoundingTask(id: TensorID(role, block: 0), name: "q", scheme: scheme, statistics: statistics)
    #expect(try awq().rounder(for: task) == nil)
  }
}

@Test func unknownOptionsAreRefusedByName() {
  #expect(throws: Failure.self) { try awq(["bits": "4"]) }
  #expect(throws: Failure.self) { try awq(["grid": "0"]) }
}

@Test func roundToNearestLeavesEverythingToTheScheme() throws {
  let rtn = try RTN(OptionValues([:], declarations: RTN.options, plugin: RTN.id))
  var block = tinyWorkspace()
  let before = block
  #expect(try rtn.transform(&block).isEmpty)
  #expect(block.matrices == before.matrices)
  #expect(RTN.requirements.isEmpty)
}

@Test func powersAgreeWithClosedForms() {
  for base in [Float(1e-8), 0.003, 0.5, 1, 2, 17.25, 12345] {
    #expect(Power.of(base, 0) == 1)
    #expect(abs(Power.of(base, 1) / base - 1) < 2e-7)
    #expect(abs(Power.of(base, 0.5) / base.squareRoot() - 1) < 2e-7)
  }
}
