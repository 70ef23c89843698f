import CKernels

/// Collects statistics at the sites of a block while the engine runs it.
///
/// Sums run over tokens in the order of the panels: the thread count changes no bit.
public final class StatisticsCollector: SiteObserver {
  private struct Sums {
    var tokens = 0
    var absolute: [Double]
    var squares: [Double]
    var statistics: SiteStatistics
  }

  private let wanted: Set<Statistic>
  private let sites: Set<Site>?
  private let parallel: Parallel
  private var sums: [Site: Sums] = [:]
  /// The first value that is not finite, with the token it belongs to; nil where all are.
  public private(set) var nonfinite: (site: Site, token: Int, channel: Int, value: Float)?

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
    findNonfinite(site, panel, firstToken: entry.tokens)
    entry.tokens += panel.rows
    if wanted.contains(.meanSquare) { observeSquares(panel, &entry.squares) }
    if wanted.contains(.meanAbsolute) || wanted.contains(.range) { observeChannels(panel, &entry) }
    if wanted.contains(.gram) { LinearAlgebra.addGram(of: panel, to: &entry.statistics.gram, parallel: parallel) }
    sums[site] = entry
  }

  /// What was observed so far, by site.
  public func statistics() -> [Site: SiteStatistics] {
    sums.mapValues { entry in
      var statistics = entry.statistics
      statistics.tokens = entry.tokens
      statistics.meanSquare = entry.squares.map { Float($0 / Double(entry.tokens)) }
      statistics.deriveMeanSquare(wanted)
      statistics.meanAbsolute = entry.absolute.map { Float($0 / Double(entry.tokens)) }
      return statistics
    }
  }

  private func empty(channels: Int) -> Sums {
    var statistics = SiteStatistics(channels: channels)
    if wanted.contains(.gram) { statistics.gram = [Float](repeating: 0, count: channels * channels) }
    let squares = [Double](repeating: 0, count: wanted.contains(.meanSquare) ? channels : 0)
    return Sums(absolute: [Double](repeating: 0, count: channels), squares: squares, statistics: statistics)
  }

  private func findNonfinite(_ site: Site, _ panel: Panel, firstToken: Int) {
    guard nonfinite == nil else { return }
    for row in 0..<panel.rows where qc_all_finite(panel.row(row), panel.columns) == 0 {
      for c in 0..<panel.columns where !panel.row(row)[c].isFinite {
        nonfinite = (site, firstToken + row, c, panel.row(row)[c])
        return
      }
    }
  }

  /// As `observeChannels`.
  private func observeSquares(_ panel: Panel, _ sums: inout [Double]) {
    sums.withUnsafeMutableBufferPointer { sums in
      guard let sums = sums.baseAddress else { return }
      let (target, source) = (SharedPointer(sums), SharedPointer(UnsafeMutablePointer(mutating: panel.base)))
      let (rows, stride) = (panel.rows, panel.rowStride)
      parallel.forEachRange(panel.columns, piece: 512) { channels in
        let first = channels.lowerBound
        qc_observe_squares(source.base + first, rows, stride, channels.count, target.base + first)
      }
    }
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
