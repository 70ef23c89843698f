import CKernels

/// Collects statistics at the sites of a block while the engine runs it.
///
/// Sums run over tokens in the order of the panels: the thread count changes no bit.
public final class StatisticsCollector: SiteObserver {
  private struct Sums {
    var tokens = 0
    var absolute: [Double]
    var statistics: SiteStatistics
  }

  private let wanted: Set<Statistic>
  private let sites: Set<Site>?
  private let parallel: Parallel
  /// Of the products in Gram matrices.
  public var precision = ProductPrecision.f32
  private var sums: [Site: Sums] = [:]

  /// - Parameters:
  ///   - statistics: what to collect; a Gram matrix takes `channels²` floats per site.
  ///   - sites: where to look; nil: everywhere.
  public init(_ statistics: Set<Statistic>, at sites: Set<Site>? = nil, parallel: Parallel) {
    wanted = statistics
    self.sites = sites
    self.parallel = parallel
  }

  /// Adds a panel to the sums of a site.
  public func observe(_ site: Site, _ panel: Panel) {
    guard !wanted.isEmpty, panel.rows > 0, sites?.contains(site) ?? true else { return }
    var entry = sums.removeValue(forKey: site) ?? empty(channels: panel.columns)
    entry.tokens += panel.rows
    if wanted.contains(.meanAbsolute) || wanted.contains(.range) { observeChannels(panel, &entry) }
    if wanted.contains(.gram) { LinearAlgebra.addGram(of: panel, to: &entry.statistics.gram, precision: precision, parallel: parallel) }
    sums[site] = entry
  }

  /// What was observed so far, by site.
  public func statistics() -> [Site: SiteStatistics] {
    sums.mapValues { entry in
      var statistics = entry.statistics
      statistics.tokens = entry.tokens
      let channels = statistics.channels
      if !statistics.gram.isEmpty {
        statistics.meanSquare = (0..<channels).map { statistics.gram[$0 * channels + $0] / Float(max(1, entry.tokens)) }
      }
      statistics.meanAbsolute = entry.absolute.map { Float($0 / Double(entry.tokens)) }
      return statistics
    }
  }

  private func empty(channels: Int) -> Sums {
    var statistics = SiteStatistics(channels: channels)
    if wanted.contains(.gram) { statistics.gram = [Float](repeating: 0, count: channels * channels) }
    return Sums(absolute: [Double](repeating: 0, count: channels), statistics: statistics)
  }

  /// Threads share the channels, so every channel's sum runs over tokens in order.
  private func observeChannels(_ panel: Panel, _ entry: inout Sums) {
    entry.absolute.withUnsafeMutableBufferPointer { absolute in
      entry.statistics.minimum.withUnsafeMutableBufferPointer { minimum in
        entry.statistics.maximum.withUnsafeMutableBufferPointer { maximum in
          guard let absolute = absolute.baseAddress, let minimum = minimum.baseAddress, let maximum = maximum.baseAddress else { return }
          let targets = (SharedPointer(absolute), SharedPointer(minimum), SharedPointer(maximum))
          let source = SharedPointer(UnsafeMutablePointer(mutating: panel.base))
          let (rows, stride) = (panel.rows, panel.rowStride)
          parallel.forEachRange(panel.columns, piece: 512) { channels in
            let first = channels.lowerBound
            qc_observe(
              source.base + first, rows, stride, channels.count, targets.0.base + first, targets.1.base + first,
              targets.2.base + first)
          }
        }
      }
    }
  }
}
