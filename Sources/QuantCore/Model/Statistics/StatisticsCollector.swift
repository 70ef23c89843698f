import CKernels

/// Collects statistics at the sites of a block while the engine runs it.
///
/// Sums run over tokens in the order of the panels, so the number of threads changes no bit.
public final class StatisticsCollector: SiteObserver {
  private struct Sums {
    var tokens = 0
    var absolute: [Double]
    var squares: [Double]
    var statistics: SiteStatistics
  }

  /// What to collect at each site; nil: `everywhere`.
  private let bySite: [Site: Set<Statistic>]?
  private let everywhere: Set<Statistic>
  private let parallel: Parallel
  /// Precision of the products in Gram matrices.
  public var precision = ProductPrecision.f32
  /// Tokens of one window of the text, for the ranges of windows. A window of a site that only some tokens reach is as many of those.
  public var windowLength = Int.max
  private var sums: [Site: Sums] = [:]
  /// The first value that is not finite, with the token it belongs to; nil if all values are finite.
  public private(set) var nonfinite: (site: Site, token: Int, channel: Int, value: Float)?

  /// - Parameters:
  ///   - statistics: what to collect; a Gram matrix takes `channels²` floats per site.
  ///   - sites: where to collect; nil: everywhere.
  public init(_ statistics: Set<Statistic>, at sites: Set<Site>? = nil, parallel: Parallel) {
    everywhere = statistics
    bySite = sites.map { Dictionary(uniqueKeysWithValues: $0.map { ($0, statistics) }) }
    self.parallel = parallel
  }

  /// - Parameter statistics: what to collect at each site.
  public init(_ statistics: [Site: Set<Statistic>], parallel: Parallel) {
    everywhere = []
    bySite = statistics
    self.parallel = parallel
  }

  /// Adds a panel to the sums of a site.
  public func observe(_ site: Site, _ panel: Panel) {
    let wanted = wanted(at: site)
    guard !wanted.isEmpty, panel.rows > 0 else { return }
    var entry = sums.removeValue(forKey: site) ?? empty(channels: panel.columns, wanted)
    findNonfinite(site, panel, firstToken: entry.tokens)
    if wanted.contains(.windowRanges) {
      entry.statistics.windowRanges?.add(panel, firstToken: entry.tokens, windowLength: windowLength, parallel: parallel)
    }
    entry.tokens += panel.rows
    if wanted.contains(.meanSquare) { observeSquares(panel, &entry.squares) }
    if wanted.contains(.meanAbsolute) || wanted.contains(.range) { observeChannels(panel, &entry) }
    if wanted.contains(.sample) { entry.statistics.sample?.add(panel) }
    if wanted.contains(.histogram) { entry.statistics.histogram?.add(panel, parallel: parallel) }
    if wanted.contains(.channelHistograms) { entry.statistics.countChannels(panel, parallel: parallel) }
    if wanted.contains(.gram) { LinearAlgebra.addGram(of: panel, to: &entry.statistics.gram, precision: precision, parallel: parallel) }
    sums[site] = entry
  }

  private func wanted(at site: Site) -> Set<Statistic> {
    if site == .attendedInput { return wanted(at: .attentionInput).contains(.attended) ? [.gram] : [] }
    return bySite.map { $0[site] ?? [] } ?? everywhere
  }

  public var observesAttendedInputs: Bool { wanted(at: .attentionInput).contains(.attended) }

  /// What was observed so far, by site.
  public func statistics() -> [Site: SiteStatistics] {
    var found = allStatistics()
    guard let attended = found.removeValue(forKey: .attendedInput), let inputs = found[.attentionInput] else { return found }
    let share = Float(inputs.tokens) / Float(max(1, attended.tokens))
    found[.attentionInput]?.attended = attended.gram.map { $0 * share }
    return found
  }

  private func allStatistics() -> [Site: SiteStatistics] {
    // An array of keys, because a view of the dictionary would cause every change to copy it.
    for site in Array(sums.keys) where sums[site]?.statistics.gram.isEmpty == false {
      sums[site]?.statistics.mirrorGram(parallel: parallel)
    }
    return sums.mapValues { entry in
      var statistics = entry.statistics
      statistics.tokens = entry.tokens
      statistics.meanSquare = entry.squares.map { Float($0 / Double(entry.tokens)) }
      statistics.deriveMeanSquare()
      statistics.meanAbsolute = entry.absolute.map { Float($0 / Double(entry.tokens)) }
      return statistics
    }
  }

  private func empty(channels: Int, _ wanted: Set<Statistic>) -> Sums {
    var statistics = SiteStatistics(channels: channels)
    if wanted.contains(.sample) { statistics.sample = TokenSample(channels: channels) }
    if wanted.contains(.histogram) { statistics.histogram = MagnitudeHistogram() }
    if wanted.contains(.channelHistograms) {
      statistics.channelHistograms = [MagnitudeHistogram](repeating: MagnitudeHistogram(), count: channels)
    }
    if wanted.contains(.windowRanges) { statistics.windowRanges = WindowRanges(channels: channels) }
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

  /// Threads divide the channels among them, so every channel's sum runs over tokens in order.
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
