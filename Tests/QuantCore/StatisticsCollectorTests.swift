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

  /// What each head makes of the inputs counts as much as the inputs themselves do.
  @Test func attendedInputsBelongToTheAttentionsInput() throws {
    let x = Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4])
    let heads = [Matrix(rows: 2, columns: 2, values: [1, 0, 0, 1]), Matrix(rows: 2, columns: 2, values: [1, 1, 1, 3])]
    func statistics(_ kinds: Set<Statistic>) -> [Site: SiteStatistics] {
      let collector = StatisticsCollector([.attentionInput: kinds, .attentionOutput: kinds], parallel: Parallel(threads: 1))
      #expect(collector.observesAttendedInputs == kinds.contains(.attended))
      x.withPanel { collector.observe(.attentionInput, $0) }
      for head in heads { head.withPanel { collector.observe(.attendedInput, $0) } }
      return collector.statistics()
    }
    var found = try #require(statistics([.gram, .attended])[.attentionInput])
    #expect(statistics([.gram, .attended]).count == 1 && found.tokens == 2 && found.gram == [10, 14, 14, 20])
    #expect(found.attended == [1.5, 2, 2, 5.5])
    found.divide(by: [1, 2])
    #expect(found.attended == [1.5, 1, 1, 1.375])
    #expect(statistics([.gram])[.attentionInput]?.attended == [] && statistics([.gram]).count == 1)
  }

  @Test func theFirstValueThatIsNotFiniteIsRemembered() throws {
    let collector = StatisticsCollector([.meanSquare], parallel: Parallel(threads: 1))
    Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4]).withPanel { collector.observe(.attentionInput, $0) }
    Matrix(rows: 2, columns: 2, values: [1, 2, .infinity, .nan]).withPanel { collector.observe(.attentionInput, $0) }
    let found = try #require(collector.nonfinite)
    #expect(found.site == .attentionInput && found.token == 3 && found.channel == 0 && found.value == .infinity)
  }
}

@Suite struct TokenSampleTests {
  private func sample(_ count: Int, panel: Int) throws -> TokenSample {
    let x = Matrix(rows: count, columns: 2, values: (0..<count).flatMap { [Float($0), 1] })
    let collector = StatisticsCollector([.sample], parallel: Parallel(threads: 1))
    for first in stride(from: 0, to: count, by: panel) {
      x.withPanel(rows: first..<min(count, first + panel)) { collector.observe(.attentionInput, $0) }
    }
    return try #require(collector.statistics()[.attentionInput]?.sample)
  }

  @Test func aFewTokensAreAllKept() throws {
    #expect(try sample(1024, panel: 100).count == 1024)
  }

  @Test(arguments: [1025, 2048, 2049, 5000]) func manyTokensAreThinnedOutEvenly(_ count: Int) throws {
    let kept = try sample(count, panel: 300)
    let indices = stride(from: 0, to: kept.values.count, by: 2).map { Int(kept.values[$0]) }
    let step = indices[1]
    #expect(indices == Array(stride(from: 0, to: count, by: step)))
    #expect((512...1024).contains(indices.count))
    #expect(try sample(count, panel: 77) == kept, "panels do not matter")
  }

  @Test func aScalingDividesTheChannels() throws {
    var statistics = SiteStatistics(channels: 2)
    statistics.sample = try sample(3, panel: 3)
    statistics.divide(by: [2, 4])
    #expect(statistics.sample?.values == [0, 0.25, 0.5, 0.25, 1, 0.25])
  }
}
