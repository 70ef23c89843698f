import QuantCore
import Testing

@testable import QuantModel
@testable import QuantNumbers

@Suite struct CrossObserverTests {
  private func matrix(_ rows: Int, seed: Int) -> Matrix {
    Matrix(rows: rows, columns: 3, values: (0..<rows * 3).map { Float(($0 * 31 + seed) % 17) / 4 - 2 })
  }

  /// Runs some tokens through both streams.
  private func run(_ observer: CrossObserver, _ site: Site, _ original: [Matrix], _ quantized: [Matrix]) {
    observer.stream = .original
    for panel in original { panel.withPanel { observer.observe(site, $0) } }
    observer.stream = .quantized
    for panel in quantized { panel.withPanel { observer.observe(site, $0) } }
  }

  @Test(arguments: [1, 3]) func theDifferenceOfTheStreamsIsSummedWithTheQuantizedOne(_ threads: Int) throws {
    let parallel = Parallel(threads: threads)
    let observer = CrossObserver(StatisticsCollector([.gram], parallel: parallel), at: [.attentionInput], parallel: parallel)
    let pairs = [(4, 1, 5), (2, 7, 3), (5, 2, 9)].map { rows, a, b in (matrix(rows, seed: a), matrix(rows, seed: b)) }
    // Two panels, then other tokens.
    run(observer, .attentionInput, [pairs[0].0, pairs[1].0], [pairs[0].1, pairs[1].1])
    run(observer, .attentionInput, [pairs[2].0], [pairs[2].1])
    let found = try #require(observer.statistics()[.attentionInput])
    var cross = [Double](repeating: 0, count: 9), gram = cross
    for (original, quantized) in pairs {
      for row in 0..<original.rows {
        for i in 0..<3 {
          for j in 0..<3 {
            cross[i * 3 + j] += Double(original[row, i] - quantized[row, i]) * Double(quantized[row, j])
            gram[i * 3 + j] += Double(quantized[row, i]) * Double(quantized[row, j])
          }
        }
      }
    }
    #expect(found.tokens == 11)
    for i in 0..<9 { #expect(abs(Double(found.cross[i]) - cross[i]) < 1e-4 && abs(Double(found.gram[i]) - gram[i]) < 1e-4) }
  }

  /// After a router the streams may send different tokens to an expert: their difference then means nothing.
  @Test func streamsThatDoNotMatchAreNotCompared() throws {
    let parallel = Parallel(threads: 1)
    let observer = CrossObserver(
      StatisticsCollector([.gram], parallel: parallel), at: [.expertInput(0), .expertInput(1), .attentionInput], parallel: parallel)
    run(observer, .expertInput(0), [matrix(4, seed: 1)], [matrix(3, seed: 1)])
    run(observer, .expertInput(1), [], [matrix(3, seed: 1)])
    run(observer, .attentionInput, [matrix(4, seed: 1)], [matrix(4, seed: 2)])
    // A site where statistics are collected but streams are not compared.
    run(observer, .feedForwardInput, [matrix(4, seed: 1)], [matrix(4, seed: 2)])
    // A later match does not make up for it.
    run(observer, .expertInput(0), [matrix(4, seed: 1)], [matrix(4, seed: 2)])
    let found = observer.statistics()
    #expect(found[.expertInput(0)]?.cross == [] && found[.expertInput(0)]?.tokens == 7)
    #expect(found[.expertInput(1)]?.cross == [] && found[.expertInput(1)]?.tokens == 3)
    #expect(found[.attentionInput]?.cross.count == 9)
    #expect(found[.feedForwardInput]?.cross == [] && found[.feedForwardInput]?.gram.count == 9)
  }
}
