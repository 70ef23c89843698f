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

  @Test(arguments: ["", "min", "percentile:", "percentile:0", "percentile:101", "percentile:nan", "mse:1"])
  func otherNamesAreNoCalibrators(_ name: String) { #expect(RangeCalibrator(named: name) == nil) }
}
