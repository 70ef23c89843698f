/// Observes a block in both streams: the inputs of some tokens in the original stream are kept until the same tokens come in the
/// quantized one.
package final class CrossObserver: SiteObserver {
  /// Which stream is running.
  package enum Stream {
    case original
    case quantized
  }

  /// Setting it to the original stream begins with other tokens.
  package var stream = Stream.original {
    didSet { if stream == .original { originals = [:] } }
  }
  private let collector: StatisticsCollector
  private let sites: Set<Site>
  private let parallel: Parallel
  private var originals: [Site: [Matrix]] = [:]
  private var sums: [Site: [Float]] = [:]
  /// Sites whose panels hold different tokens in the two streams, as can happen after a router.
  private var unmatched: Set<Site> = []

  /// - Parameters:
  ///   - collector: observes the quantized stream.
  ///   - sites: where the streams are compared.
  package init(_ collector: StatisticsCollector, at sites: Set<Site>, parallel: Parallel) {
    self.collector = collector
    self.sites = sites
    self.parallel = parallel
  }

  package var observesAttendedInputs: Bool { stream == .quantized && collector.observesAttendedInputs }

  package func observe(_ site: Site, _ panel: Panel) {
    switch stream {
    case .original:
      if sites.contains(site) { originals[site, default: []].append(Matrix(panel)) }
    case .quantized:
      collector.observe(site, panel)
      if sites.contains(site) { addDifference(site, panel) }
    }
  }

  private func addDifference(_ site: Site, _ panel: Panel) {
    let channels = panel.columns
    guard var difference = originals[site]?.first, difference.rows == panel.rows else {
      unmatched.insert(site)
      return
    }
    originals[site]?.removeFirst()
    var sum = sums.removeValue(forKey: site) ?? [Float](repeating: 0, count: channels * channels)
    difference.values.withUnsafeMutableBufferPointer { difference in
      sum.withUnsafeMutableBufferPointer { sum in
        guard let difference = difference.baseAddress, let sum = sum.baseAddress else { return }
        for row in 0..<panel.rows { VectorKernels.axpy(-1, panel.row(row), difference + row * channels, count: channels) }
        var product = LinearAlgebra.Product(
          a: LinearAlgebra.Operand(base: difference, stride: channels, isDepthContiguous: false),
          b: LinearAlgebra.Operand(base: panel.base, stride: panel.rowStride, isDepthContiguous: false), m: channels, n: channels,
          k: panel.rows)
        product.accumulates = true
        product.level = collector.precision.level
        product.run(into: sum, stride: channels, parallel: parallel)
      }
    }
    sums[site] = sum
  }

  /// What was observed so far, by site.
  package func statistics() -> [Site: SiteStatistics] {
    var statistics = collector.statistics()
    for (site, sum) in sums where !unmatched.contains(site) { statistics[site]?.cross = sum }
    return statistics
  }
}

extension Matrix {
  /// A copy of a panel.
  fileprivate init(_ panel: Panel) {
    var values: [Float] = []
    values.reserveCapacity(panel.rows * panel.columns)
    for row in 0..<panel.rows { values += UnsafeBufferPointer(start: panel.row(row), count: panel.columns) }
    self.init(rows: panel.rows, columns: panel.columns, values: values)
  }
}
