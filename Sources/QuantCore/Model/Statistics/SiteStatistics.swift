/// What a method may ask to have observed at a site.
public enum Statistic: String, Sendable, CaseIterable {
  /// Mean absolute value per channel.
  case meanAbsolute
  /// Mean square per channel: what llama.cpp calls an importance matrix.
  case meanSquare
  /// Smallest and largest value per channel.
  case range
  /// How often magnitudes occur, over all channels.
  case histogram
  /// The same for each channel.
  case channelHistograms
  /// Smallest and largest value per channel in each window of the text.
  case windowRanges
  /// `H = Σ x xᵀ` over tokens, `[channels, channels]`.
  case gram
  /// The activations of some of the tokens.
  case sample
  /// `C = Σ (x₀ − x) xᵀ` over tokens, `[channels, channels]`, where x₀ is the activation in the original stream; observed only
  /// with the quantized stream.
  case cross
  /// `H = Σ y yᵀ` over tokens and heads, `[channels, channels]`, where y is what a head of the attention makes of the inputs; at the
  /// site that the values' matrix reads.
  case attended
}

/// What was observed at one site on the calibration text. The order of summation does not depend on the number of threads.
public struct SiteStatistics: Sendable, Equatable {
  /// Channels of the site.
  public var channels: Int
  /// Tokens observed.
  public var tokens: Int
  /// How many of them were observed at the sites of other experts, because too few reached this one.
  package var borrowedTokens = 0
  /// Mean |x| per channel.
  public var meanAbsolute: [Float]
  /// Mean x² per channel; empty if neither it nor the Gram matrix was asked for.
  public var meanSquare: [Float]
  /// Smallest value of each channel.
  public var minimum: [Float]
  /// Largest value of each channel.
  public var maximum: [Float]
  /// Σ x xᵀ, `[channels, channels]`, symmetric; empty if not asked for.
  public var gram: [Float]
  /// Tokens spread over the text; nil if not asked for.
  public var sample: TokenSample?
  /// Magnitudes of all channels together; nil if not asked for, or if a transform has made it invalid.
  public var histogram: MagnitudeHistogram?
  /// The same of each channel; empty if not asked for, or if a transform has made them invalid.
  public var channelHistograms: [MagnitudeHistogram] = []
  /// Ranges of each window; nil if not asked for.
  public var windowRanges: WindowRanges?
  /// Σ (x₀ − x) xᵀ, `[channels, channels]`, where x₀ is the activation in the original stream; empty if it was not observed.
  public var cross: [Float] = []
  /// The Gram matrix of the inputs as attention mixes them, as the mean over heads of its sums over tokens; empty if it was not observed.
  public var attended: [Float] = []

  public init(channels: Int) {
    self.channels = channels
    tokens = 0
    meanAbsolute = [Float](repeating: 0, count: channels)
    meanSquare = []
    minimum = [Float](repeating: .infinity, count: channels)
    maximum = [Float](repeating: -.infinity, count: channels)
    gram = []
  }

  /// Counts the values of a panel channel by channel.
  mutating func countChannels(_ panel: Panel, parallel: Parallel) {
    channelHistograms.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let (histograms, source) = (SharedPointer(base), SharedPointer(UnsafeMutablePointer(mutating: panel.base)))
      let (rows, stride) = (panel.rows, panel.rowStride)
      parallel.forEach(panel.columns) { channel in
        let column = Panel(base: source.base + channel, rows: rows, columns: 1, rowStride: stride)
        histograms.base[channel].add(column, parallel: Parallel(threads: 1))
      }
    }
  }

  /// Completes a Gram matrix whose upper triangle is known.
  package mutating func mirrorGram(parallel: Parallel) { LinearAlgebra.mirror(&gram, size: channels, parallel: parallel) }

  /// Adjusts the statistics to channels that are divided by their scales: `H / (s sᵀ)`, and ranges and means are divided. Histograms
  /// count bins of values that are gone, so they must be observed again.
  public mutating func divide(by scales: [Float]) {
    sample?.divide(by: scales)
    windowRanges?.divide(by: scales)
    histogram = nil
    channelHistograms = []
    for c in 0..<channels {
      meanAbsolute[c] /= scales[c]
      minimum[c] /= scales[c]
      maximum[c] /= scales[c]
      if !meanSquare.isEmpty { meanSquare[c] /= scales[c] * scales[c] }
    }
    for i in 0..<channels {
      for j in 0..<channels where !gram.isEmpty { gram[i * channels + j] /= scales[i] * scales[j] }
      for j in 0..<channels where !attended.isEmpty { attended[i * channels + j] /= scales[i] * scales[j] }
      for j in 0..<channels where !cross.isEmpty { cross[i * channels + j] /= scales[i] * scales[j] }
    }
  }
}
