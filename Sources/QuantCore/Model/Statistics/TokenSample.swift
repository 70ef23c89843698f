/// The activations of some tokens at a site: every n-th token, spread evenly over the text, for searches that must see how
/// activations round.
public struct TokenSample: Sendable, Equatable {
  /// How many tokens are kept at most.
  public static let limit = 1024
  /// Channels of a token.
  public let channels: Int
  /// Kept tokens, `[count, channels]`.
  public private(set) var values: [Float] = []
  /// Distance between two kept tokens: a power of two, so that the spacing stays even when tokens are removed.
  private var stride = 1
  private var seen = 0

  /// Number of tokens kept.
  public var count: Int { channels == 0 ? 0 : values.count / channels }

  public init(channels: Int) { self.channels = channels }

  /// Adds tokens in order; how they are split into panels does not matter.
  mutating func add(_ panel: Panel) {
    for row in 0..<panel.rows {
      if seen.isMultiple(of: stride) {
        if count == TokenSample.limit { thinOut() }
        // This token is also a multiple of the doubled stride, because the limit is even.
        values += UnsafeBufferPointer(start: panel.row(row), count: channels)
      }
      seen += 1
    }
  }

  private mutating func thinOut() {
    var kept: [Float] = []
    kept.reserveCapacity(TokenSample.limit * channels)
    for index in Swift.stride(from: 0, to: count, by: 2) { kept += values[index * channels..<(index + 1) * channels] }
    values = kept
    stride *= 2
  }

  /// Divides every channel by its scale.
  mutating func divide(by scales: [Float]) {
    for start in Swift.stride(from: 0, to: values.count, by: channels) {
      for c in 0..<channels { values[start + c] /= scales[c] }
    }
  }
}
