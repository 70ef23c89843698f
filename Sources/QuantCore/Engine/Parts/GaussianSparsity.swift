import QuantPlatform

/// Silences most channels between the matrices of a feed-forward network: of each token, only what exceeds a bound passes, less that bound.
/// If channels are distributed normally, a fixed share of them exceeds the mean plus some standard deviations (statistical top-k).
///
/// Source: You et al., *Spark Transformer* (arXiv 2506.06644).
public struct GaussianSparsity: Sendable, Hashable {
  /// Standard deviations between the mean and the bound.
  public var deviations: Float
  /// Whether the standard deviation is that of a sample, with one channel less in the divisor.
  public var isOfSample: Bool

  public init(deviations: Float, isOfSample: Bool = false) {
    self.deviations = deviations
    self.isOfSample = isOfSample
  }

  /// Sums are in doubles, so that the bound does not depend on their order.
  func apply(_ x: inout Matrix, parallel: Parallel) {
    let (rows, width) = (x.rows, x.columns)
    let divisor = Double(max(1, isOfSample ? width - 1 : width))
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(rows, piece: 64) { piece in
        for row in piece {
          let channels = UnsafeMutableBufferPointer(start: target.base + row * width, count: width)
          let mean = channels.reduce(0.0) { $0 + Double($1) } / Double(max(1, width))
          let squares = channels.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
          let bound = Float(mean + (squares / divisor).squareRoot() * Double(deviations))
          for c in 0..<width { channels[c] = max(0, channels[c] - bound) }
        }
      }
    }
  }
}
