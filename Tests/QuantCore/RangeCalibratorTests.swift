import QuantCore
import TestSupport
import Testing

@testable import QuantBase
@testable import QuantModel
@testable import QuantNumbers

/// The panels of Tests/Fixtures/statistics/make_calibrators.py.
private func panel(_ number: Int) -> Matrix {
  let factor: Float = [1, 2, 0.5][number] * 0x1p-28
  var matrix = Matrix(rows: 160, columns: 64)
  for i in matrix.values.indices {
    let k = (i * 7919 + number * 104_729) % 2003 - 1001
    matrix.values[i] = Float(k * k * k) * factor * (i % 997 == 5 ? Float(1 + number % 2) : 1)
  }
  return matrix
}

private func histogram(threads: Int = 2) -> MagnitudeHistogram {
  var histogram = MagnitudeHistogram()
  for number in 0..<3 { panel(number).withPanel { histogram.add($0, parallel: Parallel(threads: threads)) } }
  return histogram
}

@Suite struct RangeCalibratorTests {
  private let expected: JSON

  init() throws { expected = try JSON.load(SharedData.fixture("statistics/calibrators.json")) }

  @Test func largerValuesAppendBinsOfTheSameWidth() throws {
    let found = histogram()
    #expect(found.width == expected["width"]?.doubleValue && found.counts.count == expected["bins"]?.intValue)
    var counts = [UInt64](repeating: 0, count: found.counts.count)
    for entry in expected["counts"]?.arrayValue ?? [] {
      let pair = (entry.arrayValue ?? []).compactMap(\.intValue)
      try #require(pair.count == 2 && counts.indices.contains(pair[0]))
      counts[pair[0]] = UInt64(pair[1])
    }
    let isEqual = found.counts == counts
    #expect(isEqual)
    #expect(histogram(threads: 1) == found)
  }

  @Test(arguments: ["percentile:99.99", "percentile:99.9", "percentile:90.0", "entropy", "mse"])
  func limitsAreThoseOfTheSlowSearch(_ name: String) throws {
    let calibrator = try #require(RangeCalibrator(named: name))
    #expect(calibrator.name == name)
    let found = histogram()
    let limits = try #require(expected["limits"]?[name]?.objectValue)
    for member in limits {
      let scheme = ActivationScheme(try #require(ActivationScheme.Element(rawValue: member.key)), .tensor, isStatic: true)
      let limit = try #require(calibrator.limit(of: found, for: scheme))
      #expect(abs(limit / (member.value.doubleValue ?? 0) - 1) < 1e-12, "\(name) for \(member.key)")
    }
  }

  /// What a collector finds in the panels, each of which is a window.
  private func collected(_ wanted: Set<Statistic>, rows: Int = 160, threads: Int = 2) throws -> SiteStatistics {
    let collector = StatisticsCollector(wanted, parallel: Parallel(threads: threads))
    collector.windowLength = 160
    let all = Matrix(rows: 3 * 160, columns: 64, values: (0..<3).flatMap { panel($0).values })
    for first in stride(from: 0, to: all.rows, by: rows) {
      all.withPanel(rows: first..<min(all.rows, first + rows)) { collector.observe(.keys, $0) }
    }
    return try #require(collector.statistics()[.keys])
  }

  @Test(arguments: ["average:0.99", "average:0.9"]) func averagesAreThoseOfTheObserversOfPyTorch(_ name: String) throws {
    let calibrator = try #require(RangeCalibrator(named: name))
    #expect(calibrator.name == name)
    func numbers(_ json: JSON?) -> [Float] { (json?.arrayValue ?? []).compactMap { $0.doubleValue.map { Float($0) } } }
    let averages = try #require(expected["averages"]?[name])
    // However the windows come: one by one, several together, or in pieces.
    for rows in [160, 480, 100, 7] {
      let statistics = try collected(calibrator.requirements(for: .int8Static), rows: rows)
      let range = try #require(calibrator.range(of: statistics, for: .int8Static))
      #expect([range.minimum, range.maximum] == numbers(averages["all"]), "\(rows) tokens")
      let channels = try #require(calibrator.channelRanges(of: statistics, for: .int8Static, parallel: Parallel(threads: 2)))
      let sides = averages["channels"]?.arrayValue ?? []
      #expect(channels.map(\.minimum) == numbers(sides.first) && channels.map(\.maximum) == numbers(sides.last) && channels.count == 64)
    }
    #expect(RangeCalibrator(named: "average") == .average(0.99))
  }

  @Test(arguments: ["percentile:99.0", "entropy", "mse"]) func limitsOfChannelsAreThoseOfTheSlowSearch(_ name: String) throws {
    let calibrator = try #require(RangeCalibrator(named: name))
    let scheme = try #require(ActivationScheme(named: "int8-channel"))
    let statistics = try collected(calibrator.requirements(for: scheme))
    let ranges = try #require(calibrator.channelRanges(of: statistics, for: scheme, parallel: Parallel(threads: 3)))
    for member in try #require(expected["channels"]?.objectValue) {
      let channel = try #require(Int(member.key)), limit = Float(try #require(member.value[name]?.doubleValue))
      #expect(ranges[channel].minimum == max(statistics.minimum[channel], -limit), "channel \(channel)")
      #expect(ranges[channel].maximum == min(statistics.maximum[channel], limit), "channel \(channel)")
    }
    let isEqual = try collected(calibrator.requirements(for: scheme), threads: 1) == statistics
    #expect(isEqual)
  }

  /// Windows scale with the channels; histograms must be observed again.
  @Test func dividedChannelsHaveDividedRanges() throws {
    var statistics = try collected([.range, .windowRanges, .channelHistograms])
    let before = try #require(RangeCalibrator.average(0.5).channelRanges(of: statistics, for: .int8Static, parallel: Parallel(threads: 1)))
    statistics.divide(by: (0..<64).map { $0 == 3 ? 4 : 1 })
    let after = try #require(RangeCalibrator.average(0.5).channelRanges(of: statistics, for: .int8Static, parallel: Parallel(threads: 1)))
    #expect(after[3].maximum == before[3].maximum / 4 && after[3].minimum == before[3].minimum / 4 && after[4] == before[4])
    #expect(statistics.channelHistograms.isEmpty)
  }

  @Test func theRangeIsTheObservedOneCutToTheLimit() throws {
    var statistics = SiteStatistics(channels: 2)
    #expect(RangeCalibrator.minMax.range(of: statistics, for: .int8Static) == nil)
    statistics.tokens = 4
    statistics.minimum = [-1, -0.25]
    statistics.maximum = [0.5, 8]
    let whole = try #require(RangeCalibrator.minMax.range(of: statistics, for: .int8Static))
    #expect(whole == (-1, 8))
    var histogram = MagnitudeHistogram()
    Matrix(rows: 2, columns: 2, values: [-1, 8, 0.5, 2]).withPanel { histogram.add($0, parallel: Parallel(threads: 1)) }
    statistics.histogram = histogram
    let cut = try #require(RangeCalibrator.percentile(75).range(of: statistics, for: .int8Static))
    #expect(cut == (-1, 2))
  }

  @Test func hostileValuesNeitherTrapNorNeedUnboundedMemory() {
    var histogram = MagnitudeHistogram()
    func add(_ values: [Float]) {
      Matrix(rows: 1, columns: values.count, values: values).withPanel { histogram.add($0, parallel: Parallel(threads: 1)) }
    }
    add([0, 0, -0])
    #expect(histogram.counts.isEmpty && RangeCalibrator.entropy.limit(of: histogram, for: .int8Static) == nil)
    add([.leastNonzeroMagnitude, .nan, 0])
    #expect(histogram.counts.count == 2048 && histogram.counts.reduce(0, +) == 5)
    add([.greatestFiniteMagnitude, -.infinity, 1])
    #expect(histogram.counts.count <= MagnitudeHistogram.maximumBins && histogram.counts.reduce(0, +) == 7)
    for name in ["percentile", "entropy", "mse"] {
      let limit = RangeCalibrator(named: name)?.limit(of: histogram, for: .int8Static) ?? 0
      #expect(limit > 0 && limit.isFinite, "\(name)")
    }
  }

  @Test func theKernelCountsLikeItsTwin() {
    let values = panel(1).values + [.nan, .infinity, 3]
    for bins in [1, 7, 2048] {
      var histogram = MagnitudeHistogram()
      Matrix(rows: 1, columns: 1, values: [Float(bins)]).withPanel { histogram.add($0, parallel: Parallel(threads: 1)) }
      Matrix(rows: 1, columns: values.count, values: values).withPanel { histogram.add($0, parallel: Parallel(threads: 3)) }
      let width = Double(bins) / 2048
      var twin = ReferenceKernels.magnitudeCounts(values, width: width, bins: histogram.counts.count)
      twin[2047] += 1
      let isEqual = histogram.counts == twin
      #expect(isEqual, "width \(width)")
    }
  }

  @Test(arguments: [
    "", "min", "percentile:", "percentile:0", "percentile:101", "percentile:nan", "mse:1", "average:", "average:1", "average:-0.1",
    "average:nan",
  ])
  func otherNamesAreNoCalibrators(_ name: String) { #expect(RangeCalibrator(named: name) == nil) }
}
