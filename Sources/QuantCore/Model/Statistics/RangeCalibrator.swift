/// How the range of a stored activation scale is chosen from what was observed: values beyond it are clipped, so that all others
/// are rounded more finely.
///
/// `percentile`, `entropy` and `meanSquaredError` find a limit α for magnitudes in a histogram, and the range is the observed one clipped
/// to `-α ... α`. Sources: H. Wu et al., *Integer Quantization for Deep Learning Inference* (arXiv 2004.09602), §3.3 and §5; S. Migacz,
/// *8-bit Inference with TensorRT* (GTC 2017) for the divergence; B. Jacob et al., *Quantization and Training of Neural Networks for
/// Efficient Integer-Arithmetic-Only Inference* (arXiv 1712.05877), §3.1, for the moving average.
public enum RangeCalibrator: Sendable, Hashable {
  /// All observed values.
  case minMax
  /// The moving averages of the smallest and the largest value of each window, in the order of the text: each window changes them by
  /// `1 - this` of the difference.
  case average(Double)
  /// This percentage of the magnitudes.
  case percentile(Double)
  /// The range with the smallest Kullback-Leibler divergence of the rounded distribution from the observed one.
  case entropy
  /// The range with the smallest mean squared error of rounding.
  case meanSquaredError

  /// Searches do not try limits below this many bins.
  static let firstBin = 128

  /// Name as options give it: `minmax`, `average:0.99`, `percentile:99.9`, `entropy`, `mse`.
  public var name: String {
    switch self {
    case .minMax: "minmax"
    case .average(let kept): "average:\(kept)"
    case .percentile(let percent): "percentile:\(percent)"
    case .entropy: "entropy"
    case .meanSquaredError: "mse"
    }
  }

  /// The calibrator with this name, or nil. `percentile` alone means 99.99 %, `average` alone 0.99, as in PyTorch's observers.
  public init?(named name: String) {
    switch name {
    case "minmax": self = .minMax
    case "percentile": self = .percentile(99.99)
    case "entropy": self = .entropy
    case "mse": self = .meanSquaredError
    case "average": self = .average(0.99)
    default:
      let words = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard words.count == 2, let number = Double(words[1]) else { return nil }
      switch words[0] {
      case "percentile" where number > 0 && number <= 100: self = .percentile(number)
      case "average" where number >= 0 && number < 1: self = .average(number)
      default: return nil
      }
    }
  }

  /// The default for a type. Even steps profit from a smaller range; the steps of floats shrink with the values, so clipping gains
  /// nothing and only risks values that do not occur in the text.
  public init(for element: ActivationScheme.Element) { self = element.isFloat ? .minMax : .meanSquaredError }

  /// Names for lists.
  public static let names = ["minmax", "average[:M]", "percentile[:P]", "entropy", "mse"]

  /// What must be observed at a site.
  public func requirements(for scheme: ActivationScheme) -> Set<Statistic> {
    switch self {
    case .minMax: [.range]
    case .average: [.range, .windowRanges]
    case .percentile, .entropy, .meanSquaredError: [.range, scheme.granularity == .channel ? .channelHistograms : .histogram]
    }
  }

  /// The range of a site's values, over all channels; nil if nothing was observed.
  public func range(of statistics: SiteStatistics, for scheme: ActivationScheme) -> ValueRange? {
    guard statistics.tokens > 0, let minimum = statistics.minimum.min(), let maximum = statistics.maximum.max(), minimum <= maximum
    else { return nil }
    if case .average(let kept) = self, let average = statistics.windowRanges?.average(keeping: kept) { return average }
    return clipped((minimum, maximum), to: statistics.histogram, for: scheme)
  }

  /// The range of each channel's values; nil if nothing was observed.
  public func channelRanges(of statistics: SiteStatistics, for scheme: ActivationScheme, parallel: Parallel) -> [ValueRange]? {
    guard statistics.tokens > 0, zip(statistics.minimum, statistics.maximum).allSatisfy({ $0 <= $1 }) else { return nil }
    if case .average(let kept) = self, let averages = statistics.windowRanges?.channelAverages(keeping: kept) { return averages }
    var result: [ValueRange] = zip(statistics.minimum, statistics.maximum).map { (minimum: $0, maximum: $1) }
    guard statistics.channelHistograms.count == result.count else { return result }
    result.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEach(statistics.channels) { channel in
        target.base[channel] = clipped(target.base[channel], to: statistics.channelHistograms[channel], for: scheme)
      }
    }
    return result
  }

  private func clipped(_ range: ValueRange, to histogram: MagnitudeHistogram?, for scheme: ActivationScheme) -> ValueRange {
    guard let histogram, let limit = limit(of: histogram, for: scheme).map({ Float($0) }) else { return range }
    return (max(range.minimum, -limit), min(range.maximum, limit))
  }

  /// The limit for magnitudes; nil: nothing is clipped.
  public func limit(of histogram: MagnitudeHistogram, for scheme: ActivationScheme) -> Double? {
    // The stored scale of FP4 only scales the scales of groups: it clips nothing.
    guard !histogram.counts.isEmpty, scheme.element != .fp4 else { return nil }
    switch self {
    case .minMax, .average: return nil
    case .percentile(let percent): return RangeCalibrator.percentile(percent, of: histogram)
    case .entropy: return RangeCalibrator.leastDivergence(histogram, levels: 1 << (scheme.element.bits - 1))
    case .meanSquaredError: return RangeCalibrator.leastError(histogram, scheme)
    }
  }

  /// The lower edge of the first bin at which the cumulative share reaches the percentage.
  private static func percentile(_ percent: Double, of histogram: MagnitudeHistogram) -> Double {
    let total = Double(histogram.counts.reduce(0, +))
    var seen: UInt64 = 0
    for (bin, count) in histogram.counts.enumerated() {
      seen += count
      // The edge of the first bin is 0, which would be an empty range.
      if Double(seen) / total >= percent / 100 { return histogram.edge(max(1, bin)) }
    }
    return histogram.edge(histogram.counts.count)
  }

  /// For each number of bins from 128: the distribution P has these bins, with everything beyond added to the last one; Q has
  /// them merged into the levels of the type, and spread again evenly over the bins that are not empty. If divergences are equal,
  /// the last one wins.
  private static func leastDivergence(_ histogram: MagnitudeHistogram, levels: Int) -> Double {
    var mass = histogram.counts.map { Double($0) }
    // Zeros are exact in every range, but their peak would dominate the result.
    mass[0] = mass[1]
    var cumulative = [0.0], filled = [0], entropies = [0.0]
    for value in mass {
      cumulative.append(cumulative[cumulative.count - 1] + value)
      filled.append(filled[filled.count - 1] + (value > 0 ? 1 : 0))
      entropies.append(entropies[entropies.count - 1] + (value > 0 ? value * Power.logarithm(value) : 0))
    }
    let total = cumulative[mass.count]
    guard total > 0, mass.count >= firstBin else { return histogram.edge(mass.count) }
    var best = (divergence: Double.infinity, bins: mass.count)
    for bins in firstBin...mass.count {
      let tail = total - cumulative[bins]
      let last = mass[bins - 1] + tail
      // P has mass where Q has none.
      guard mass[bins - 1] > 0 || tail == 0 else { continue }
      var cross = 0.0
      for level in 0..<levels {
        let start = (level * bins + levels - 1) / levels, end = ((level + 1) * bins + levels - 1) / levels
        let own = cumulative[end] - cumulative[start]
        guard own > 0 else { continue }
        let logarithm = Power.logarithm(own / Double(filled[end] - filled[start]))
        cross += own * logarithm
        if end == bins { cross += tail * logarithm }
      }
      let entropy = entropies[bins - 1] + (last > 0 ? last * Power.logarithm(last) : 0)
      let divergence = (entropy - cross) / total - Power.logarithm(total) + Power.logarithm(cumulative[bins])
      if divergence <= best.divergence { best = (divergence, bins) }
    }
    return histogram.edge(best.bins)
  }

  /// The center of the bin that, as the limit, gives the smallest squared error of rounding the counted bin centers. At most about
  /// 2048 limits are tried.
  private static func leastError(_ histogram: MagnitudeHistogram, _ scheme: ActivationScheme) -> Double {
    let bins = histogram.counts.count
    // Large magnitudes first: they show soonest that a limit is too small.
    let filled = (0..<bins).reversed().filter { histogram.counts[$0] > 0 }.map {
      (center: histogram.center($0), count: Double(histogram.counts[$0]))
    }
    var best = (error: Double.infinity, limit: histogram.edge(bins))
    for bin in stride(from: firstBin, to: bins, by: max(1, bins / MagnitudeHistogram.initialBins)) {
      let limit = histogram.center(bin)
      let scale = scheme.parameters(minimum: Float(-limit), maximum: Float(limit), in: .f32).scale
      var error = 0.0
      for (center, count) in filled {
        let difference = Double(scheme.rounded(Float(center), scale: scale)) - center
        error += difference * difference * count
        if error > best.error { break }
      }
      if error < best.error { best = (error, limit) }
    }
    return best.limit
  }
}
