import QuantCore
import Testing

@Suite struct StatisticsCollectorTests {
  @Test func statisticsFollowTheirDefinitions() throws {
    let x = Matrix(rows: 3, columns: 2, values: [1, -2, -3, 4, 5, -6])
    let collector = StatisticsCollector([.meanAbsolute, .range, .gram], parallel: Parallel(threads: 2))
    x.withPanel(rows: 0..<2) { collector.observe(.attentionInput, $0) }
    x.withPanel(rows: 2..<3) { collector.observe(.attentionInput, $0) }
    let found = try #require(collector.statistics()[.attentionInput])
    #expect(found.tokens == 3 && found.channels == 2)
    #expect(found.meanAbsolute == [3, 4])
    #expect(found.minimum == [-3, -6])
    #expect(found.maximum == [5, 4])
    #expect(found.gram == [35, -44, -44, 56])
  }

  @Test func onlyWhatIsWantedIsCollected() throws {
    let x = Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4])
    let collector = StatisticsCollector([.meanAbsolute], parallel: Parallel(threads: 1))
    x.withPanel { collector.observe(.feedForwardOutput, $0) }
    let found = try #require(collector.statistics()[.feedForwardOutput])
    #expect(found.gram.isEmpty && found.meanAbsolute == [2, 3])
    let idle = StatisticsCollector([], parallel: Parallel(threads: 1))
    x.withPanel { idle.observe(.feedForwardOutput, $0) }
    #expect(idle.statistics().isEmpty)
  }

  @Test func meanSquaresNeedNoGramMatrix() throws {
    let x = Matrix(rows: 2, columns: 2, values: [1, 2, 3, -4])
    let collector = StatisticsCollector([.meanSquare], parallel: Parallel(threads: 1))
    x.withPanel { collector.observe(.attentionInput, $0) }
    let found = try #require(collector.statistics()[.attentionInput])
    #expect(found.meanSquare == [5, 10] && found.gram.isEmpty)
    #expect(collector.nonfinite == nil)
  }

  @Test func theFirstValueThatIsNotFiniteIsRemembered() throws {
    let collector = StatisticsCollector([.meanSquare], parallel: Parallel(threads: 1))
    Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4]).withPanel { collector.observe(.attentionInput, $0) }
    Matrix(rows: 2, columns: 2, values: [1, 2, .infinity, .nan]).withPanel { collector.observe(.attentionInput, $0) }
    let found = try #require(collector.nonfinite)
    #expect(found.site == .attentionInput && found.token == 3 && found.channel == 0 && found.value == .infinity)
  }
}
