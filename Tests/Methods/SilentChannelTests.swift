import AWQ
import QuantCore
import Testing

/// Channels that are dead on the calibration text may be active later: AWQ neither scales nor clips their weights.
@Suite struct SilentChannelTests {
  private let method: AWQ

  init() throws { method = try AWQ(OptionValues([:], declarations: AWQ.options, plugin: AWQ.id)) }

  private func silence(_ channels: [Int], at site: Site, in block: inout BlockWorkspace) throws {
    var statistics = try #require(block.statistics[site])
    for c in channels {
      statistics.meanAbsolute[c] = 0
      for i in 0..<statistics.channels {
        statistics.gram[c * statistics.channels + i] = 0
        statistics.gram[i * statistics.channels + c] = 0
      }
    }
    block.statistics[site] = statistics
  }

  @Test func theyKeepTheirScale() throws {
    var block = tinyWorkspace()
    try silence([2, 11], at: .attentionInput, in: &block)
    try silence([7], at: .feedForwardOutput, in: &block)
    let before = block
    _ = try method.transform(&block)
    let norm = TensorID(.attentionNorm, block: 0)
    let (old, new) = (try #require(before.vectors[norm]), try #require(block.vectors[norm]))
    #expect(new[2] == old[2] && new[11] == old[11] && new != old)
    for layer in [Layer.query, .key, .value] {
      let (old, new) = (try #require(before.matrices[layer]), try #require(block.matrices[layer]))
      // The rows of the value projection are divided for the layer after it.
      guard layer != .value else { continue }
      for row in 0..<old.rows { #expect(new[row, 2] == old[row, 2] && new[row, 11] == old[row, 11]) }
    }
    let (down, changed) = (try #require(before.matrices[.down]), try #require(block.matrices[.down]))
    for row in 0..<down.rows { #expect(changed[row, 7] == down[row, 7]) }
    #expect(changed != down)
  }

  @Test func aSiteWithOnlyDeadChannelsIsNotScaled() throws {
    var block = tinyWorkspace()
    try silence(Array(0..<16), at: .attentionInput, in: &block)
    let before = block
    _ = try method.transform(&block)
    #expect(block.matrices[.query] == before.matrices[.query])
    #expect(block.vectors[TensorID(.attentionNorm, block: 0)] == before.vectors[TensorID(.attentionNorm, block: 0)])
  }

  @Test func theirWeightsAreNotClipped() throws {
    var block = tinyWorkspace()
    try silence([4], at: .feedForwardInput, in: &block)
    var matrix = try #require(block.matrices[.up])
    // By far the largest weight of its group: clipping it would make the steps of all others finer.
    for row in 0..<matrix.rows { matrix[row, 4] = row.isMultiple(of: 2) ? 12 : -12 }
    let scheme = try #require(IntegerScheme.named("int4-g16"))
    let task = RoundingTask(
      id: TensorID(.up, block: 0), name: "up", scheme: scheme, statistics: block.statistics[.feedForwardInput])
    let rounder = try #require(try method.rounder(for: task))
    var quantized = scheme.emptyPanel(rows: matrix.rows, columns: 16)
    matrix.withPanel { rounder.round($0, rows: Array(0..<matrix.rows), into: &quantized) }
    let values = scheme.values(quantized)
    for row in 0..<matrix.rows { #expect(abs(values[row * 16 + 4] - matrix[row, 4]) < 2, "\(values[row * 16 + 4])") }
  }
}
