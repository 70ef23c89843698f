import CKernels
import Synchronization

/// How often the magnitudes of a site fall into bins of equal width.
///
/// The first panel that is not all zeros spans 2048 bins. Larger magnitudes append bins of the same width; if that would take more
/// than `maximumBins`, neighbours are merged and the width doubles. Counts are integers, and panels come in the order of the text, so
/// the number of threads does not change them.
public struct MagnitudeHistogram: Sendable, Equatable {
  /// Bins of the first panel.
  public static let initialBins = 2048
  /// If there are more bins than this, they are merged in pairs: a first panel of tiny values must not lead to unlimited memory use.
  public static let maximumBins = 1 << 15

  /// Values per bin; empty as long as all values were 0.
  public private(set) var counts: [UInt64] = []
  /// Width of a bin; 0 as long as all values were 0.
  public private(set) var width = 0.0
  /// Zeros that came before there was a width.
  private var zeros: UInt64 = 0

  public init() {}

  /// Lower edge of a bin, or the upper one of the bin before it.
  public func edge(_ bin: Int) -> Double { Double(bin) * width }
  /// Middle of a bin.
  public func center(_ bin: Int) -> Double { (Double(bin) + 0.5) * width }

  /// Counts the values of a panel. Values that are not finite are skipped.
  public mutating func add(_ panel: Panel, parallel: Parallel) {
    // About 2^18 values in one piece.
    let piece = max(1, (1 << 18) / max(1, panel.columns))
    let source = SharedPointer(UnsafeMutablePointer(mutating: panel.base))
    let (columns, stride) = (panel.columns, panel.rowStride)
    let extreme = Mutex<Float>(0)
    parallel.forEachRange(panel.rows, piece: piece) { rows in
      var found: Float = 0
      for row in rows {
        let values = UnsafeBufferPointer(start: source.base + row * stride, count: columns)
        for value in values where value.isFinite { found = max(found, value.magnitude) }
      }
      extreme.withLock { $0 = max($0, found) }
    }
    let largest = Double(extreme.withLock { $0 })
    guard width > 0 || largest > 0 else {
      zeros += UInt64(panel.rows * columns)
      return
    }
    makeRoom(for: largest)
    let total = Mutex(counts)
    let (width, bins) = (width, counts.count)
    parallel.forEachRange(panel.rows, piece: piece) { rows in
      var own = [UInt64](repeating: 0, count: bins)
      for row in rows { qc_count_magnitudes(source.base + row * stride, columns, width, bins, &own) }
      total.withLock { for bin in 0..<bins { $0[bin] += own[bin] } }
    }
    counts = total.withLock { $0 }
  }

  private mutating func makeRoom(for largest: Double) {
    if width == 0 {
      width = largest / Double(MagnitudeHistogram.initialBins)
      counts = [UInt64](repeating: 0, count: MagnitudeHistogram.initialBins)
      counts[0] = zeros
      zeros = 0
    }
    while largest / width > Double(MagnitudeHistogram.maximumBins) {
      counts = stride(from: 0, to: counts.count, by: 2).map { counts[$0] + ($0 + 1 < counts.count ? counts[$0 + 1] : 0) }
      width *= 2
    }
    // A value on the upper edge of the last bin belongs to it.
    let needed = Int((largest / width).rounded(.up))
    if needed > counts.count { counts += [UInt64](repeating: 0, count: needed - counts.count) }
  }
}
