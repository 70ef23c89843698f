import GPTQ
import QuantCore
import TestSupport
import Testing

/// Feedback on schemes whose scales are shared by several rows.
@Suite struct SharedScaleTests {
  @Test(arguments: ["fp8-channel", "fp8-block32", "fp8-block128", "fp8-tensor"], ["static", "block", "plain"])
  func feedbackLowersTheOutputErrorAlsoAtTheEdgesOfBlocks(_ name: String, _ order: String) throws {
    let channels = 200
    var random = SystemlessRandom(seed: 9)
    let matrix = Matrix(rows: 40, columns: channels, values: (0..<40 * channels).map { _ in random.normal() / 50 })
    let scheme = try #require(Float8Schemes.scheme(named: name, modelType: .bf16)).fittedToTensor(
      largestMagnitude: matrix.values.reduce(0) { max($0, abs($1)) })
    var statistics = SiteStatistics(channels: channels)
    statistics.tokens = 1000
    statistics.gram = (0..<channels * channels).map { Power.of(0.95, Float(abs($0 / channels - $0 % channels))) * 1000 }
    let method = try GPTQ(OptionValues(["order": order], declarations: GPTQ.options, plugin: GPTQ.id))
    let task = RoundingTask(id: TensorID(.up, block: 0), name: "up", scheme: scheme, statistics: statistics)
    let rounder = try #require(try method.rounder(for: task))
    var quantized = scheme.emptyPanel(rows: 40, columns: channels)
    matrix.withPanel { rounder.round($0, rows: Array(0..<40), into: &quantized) }
    func error(_ values: [Float]) -> Double {
      (0..<40).reduce(0) { total, row in
        let delta = (0..<channels).map { Double(values[row * channels + $0] - matrix[row, $0]) }
        return total
          + delta.indices.reduce(0) { sum, i in
            sum + delta[i] * delta.indices.reduce(0) { $0 + Double(statistics.gram[i * channels + $1]) * delta[$1] }
          }
      }
    }
    let nearest = error(matrix.withPanel { scheme.roundTrip($0) }), feedback = error(scheme.values(quantized))
    #expect(feedback < 0.8 * nearest, "\(feedback) against \(nearest)")
    #expect(quantized.parameters.count == scheme.emptyPanel(rows: 40, columns: channels).parameters.count)
  }
}
