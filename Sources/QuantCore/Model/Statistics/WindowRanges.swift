import CKernels

/// The smallest and the largest of some values.
public typealias ValueRange = (minimum: Float, maximum: Float)

/// The smallest and the largest value of each channel in each window of the text, in the order of the windows.
public struct WindowRanges: Sendable, Equatable {
  private let channels: Int
  /// `[windows, channels]`.
  private var minimum: [Float] = []
  private var maximum: [Float] = []

  public init(channels: Int) { self.channels = channels }

  /// How many windows there are.
  public var count: Int { minimum.count / max(1, channels) }

  /// Adds the next tokens.
  /// - Parameters:
  ///   - firstToken: how many tokens were added before.
  ///   - windowLength: tokens of one window.
  public mutating func add(_ panel: Panel, firstToken: Int, windowLength: Int, parallel: Parallel) {
    var sums = [Double](repeating: 0, count: channels)
    var row = 0
    while row < panel.rows {
      let window = (firstToken + row) / max(1, windowLength)
      let rows = min(panel.rows - row, windowLength - (firstToken + row) % max(1, windowLength))
      if window == count {
        minimum += [Float](repeating: .infinity, count: channels)
        maximum += [Float](repeating: -.infinity, count: channels)
      }
      let (first, channels) = (window * self.channels, self.channels)
      minimum.withUnsafeMutableBufferPointer { minimum in
        maximum.withUnsafeMutableBufferPointer { maximum in
          sums.withUnsafeMutableBufferPointer { sums in
            guard let minimum = minimum.baseAddress, let maximum = maximum.baseAddress, let sums = sums.baseAddress else { return }
            let targets = (SharedPointer(sums), SharedPointer(minimum + first), SharedPointer(maximum + first))
            let source = SharedPointer(UnsafeMutablePointer(mutating: panel.row(row)))
            let stride = panel.rowStride
            parallel.forEachRange(channels, piece: 512) { range in
              let start = range.lowerBound
              qc_observe(
                source.base + start, rows, stride, range.count, targets.0.base + start, targets.1.base + start, targets.2.base + start)
            }
          }
        }
      }
      row += rows
    }
  }

  /// Adjusts the ranges to channels that are divided by their scales, which are positive.
  mutating func divide(by scales: [Float]) {
    for i in minimum.indices {
      minimum[i] /= scales[i % channels]
      maximum[i] /= scales[i % channels]
    }
  }

  /// The moving average of the range over all channels; nil without windows.
  /// - Parameter share: how much of the average each further window leaves.
  public func average(keeping share: Double) -> ValueRange? {
    let windows = (0..<count).map { window in
      let own = window * channels..<(window + 1) * channels
      return (minimum: minimum[own].min() ?? 0, maximum: maximum[own].max() ?? 0)
    }
    return WindowRanges.average(windows, keeping: share)
  }

  /// The moving average of the range of each channel; nil without windows.
  public func channelAverages(keeping share: Double) -> [ValueRange]? {
    guard count > 0 else { return nil }
    return (0..<channels).compactMap { channel in
      let windows = (0..<count).map { (minimum: minimum[$0 * channels + channel], maximum: maximum[$0 * channels + channel]) }
      return WindowRanges.average(windows, keeping: share)
    }
  }

  /// In 32-bit arithmetic, like PyTorch's observers.
  private static func average(_ windows: [ValueRange], keeping share: Double) -> ValueRange? {
    guard var average = windows.first else { return nil }
    let step = Float(1 - share)
    for window in windows.dropFirst() {
      average.minimum += step * (window.minimum - average.minimum)
      average.maximum += step * (window.maximum - average.maximum)
    }
    return average
  }
}
