import QuantPlatform

/// Rotary position embedding: pairs of channels of each query and key are rotated by angles that grow with the position.
public struct Rope: Sendable, Hashable {
  /// Base of the frequencies.
  public var theta = 10000.0
  /// Number of rotated channels of a head, from its first on; the others do not change.
  public var dimension = 0
  /// How frequencies are scaled for long texts.
  public var scaling = Scaling.none
  /// Which channels make a pair.
  public var pairs = Pairs.halves

  /// Which channels make a pair.
  public enum Pairs: Sendable, Hashable {
    /// (i, i + dimension/2).
    case halves
    /// (2i, 2i + 1).
    case neighbours
  }

  /// Rules that scale the frequencies.
  public enum Scaling: Sendable, Hashable {
    case none
    /// Positions divided by a factor.
    case linear(factor: Double)
    /// Llama 3.1: long wavelengths are stretched, short ones kept, with a ramp between.
    case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalContext: Int)
    /// Only the first pairs are rotated, by the frequencies that they have among all.
    case proportional(pairs: Int)
    /// Frequencies divided by stored factors (GGUF's `rope_freqs.weight`).
    case factors([Float])
    /// YaRN (arXiv:2309.00071).
    case yarn(Yarn)
    /// LongRoPE (arXiv:2402.13753).
    case long(Long)
    /// A base that grows with the length of a sequence beyond the original context, as transformers computes it; shorter sequences are
    /// not scaled.
    case dynamic(factor: Double, originalContext: Int)
  }

  /// LongRoPE: frequencies divided by one of two tables, and rotated channels multiplied by a factor.
  public struct Long: Sendable, Hashable {
    /// For sequences up to the original context.
    public var shortFactors: [Float]
    /// For longer ones, from their first token on.
    public var longFactors: [Float]
    /// Sequence length that the model was originally trained with.
    public var originalContext: Int
    /// The factor that rotated channels are multiplied by, whatever the length.
    public var attentionFactor: Double

    public init(shortFactors: [Float], longFactors: [Float], originalContext: Int, attentionFactor: Double) {
      self.shortFactors = shortFactors
      self.longFactors = longFactors
      self.originalContext = originalContext
      self.attentionFactor = attentionFactor
    }

    /// The factor of the paper for a model that was then trained for `context` tokens.
    public static func usualFactor(context: Int, originalContext: Int) -> Double {
      guard context > originalContext, originalContext > 1 else { return 1 }
      return (1 + log(Double(context) / Double(originalContext)) / log(Double(originalContext))).squareRoot()
    }
  }

  /// YaRN: like Llama 3.1's rule, but with a ramp over dimensions instead of wavelengths, and with rotated channels multiplied by a
  /// factor.
  public struct Yarn: Sendable, Hashable {
    /// The factor that long wavelengths are stretched by.
    public var factor: Double
    /// Sequence length that the model was originally trained with.
    public var originalContext: Int
    /// A wavelength is kept from `betaFast` turns within that length on, and stretched up to `betaSlow` turns.
    public var betaFast = 32.0
    public var betaSlow = 1.0
    /// Whether the ends of the ramp are rounded to integers.
    public var isRounded = true
    /// The factor that rotated channels are multiplied by; nil: `0.1 ln(factor) + 1`.
    public var attentionFactor: Double?

    public init(factor: Double, originalContext: Int) {
      self.factor = factor
      self.originalContext = originalContext
    }
  }

  public init() {}

  public init(theta: Double, dimension: Int, scaling: Scaling = .none) {
    self.theta = theta
    self.dimension = dimension
    self.scaling = scaling
  }
}

extension Rope {
  /// The divisor of the frequency of a pair that is not rotated.
  public static let still: Float = 1e30

  /// The divisor of each pair's frequency `theta^(-2i/dimension)`: one factor per pair.
  ///
  /// Llama 3.1 keeps wavelengths shorter than `originalContext / highFrequency`, stretches those longer than
  /// `originalContext / lowFrequency` by `factor`, and interpolates the frequency between. The same factors are what a GGUF
  /// stores as `rope_freqs.weight`.
  /// - Parameter length: tokens of the whole sequence.
  public func frequencyFactors(length: Int = 0) -> [Float] {
    let pairs = dimension / 2
    switch scaling {
    case .none: return [Float](repeating: 1, count: pairs)
    case .dynamic(let factor, let context):
      guard length > context, dimension > 2 else { return [Float](repeating: 1, count: pairs) }
      let growth = factor * Double(length) / Double(context) - (factor - 1)
      // The base is multiplied by growth^(d / (d − 2)), and pair i has the frequency base^(−2i / d).
      return (0..<pairs).map { Float(pow(growth, 2 * Double($0) / Double(dimension - 2))) }
    case .linear(let factor): return [Float](repeating: Float(factor), count: pairs)
    case .proportional(let rotated): return (0..<pairs).map { $0 < rotated ? 1 : Rope.still }
    case .factors(let factors): return factors
    case .long(let long): return length > long.originalContext ? long.longFactors : long.shortFactors
    case .llama3(let factor, let low, let high, let context):
      return frequencies().map { frequency in
        let turns = Double(context) * Double(frequency) / (2 * Double.pi)
        if turns > high { return 1 }
        if turns < low { return Float(factor) }
        let share = (turns - low) / (high - low)
        return Float(1 / ((1 - share) / factor + share))
      }
    case .yarn(let yarn):
      // The dimension whose wavelength fits this many times into the original context.
      func dimension(turns: Double) -> Double {
        Double(self.dimension) * log(Double(yarn.originalContext) / (turns * 2 * Double.pi)) / (2 * log(theta))
      }
      var (low, high) = (dimension(turns: yarn.betaFast), dimension(turns: yarn.betaSlow))
      if yarn.isRounded { (low, high) = (low.rounded(.down), high.rounded(.up)) }
      (low, high) = (max(low, 0), min(high, Double(self.dimension - 1)))
      if low == high { high += 0.001 }
      return (0..<pairs).map { pair in
        let stretched = min(1, max(0, (Double(pair) - low) / (high - low)))
        return Float(1 / (stretched / yarn.factor + (1 - stretched)))
      }
    }
  }

  /// The factor that rotated channels are multiplied by.
  var magnitude: Float {
    switch scaling {
    case .yarn(let yarn): Float(yarn.attentionFactor ?? (yarn.factor > 1 ? 0.1 * log(yarn.factor) + 1 : 1))
    case .long(let long): Float(long.attentionFactor)
    case .none, .linear, .llama3, .proportional, .factors, .dynamic: 1
    }
  }

  /// The length beyond which a sequence is rotated otherwise from its first token on; nil: there is none.
  var lengthLimit: Int? {
    switch scaling {
    case .long(let long): long.originalContext
    case .dynamic(_, let context): context
    case .none, .linear, .llama3, .proportional, .factors, .yarn: nil
    }
  }

  /// The scaling of Llama 3.1 that gives the stored factors, or nil if none of the usual ones does. Its four parameters cannot be
  /// computed from the factors, because only the quotients of the context and the two limits matter.
  public func llama3Scaling(giving factors: [Float]) -> Scaling? {
    guard let largest = factors.max(), factors.count == dimension / 2 else { return nil }
    // The original context of the published models, then other powers of two. Llama 4 has no range between the two frequencies.
    for high in [4.0, 1] {
      for context in [8192] + (6...20).map({ 1 << $0 }) {
        var rope = self
        rope.scaling = .llama3(factor: Double(largest), lowFrequency: 1, highFrequency: high, originalContext: context)
        if zip(rope.frequencyFactors(), factors).allSatisfy({ abs($0 - $1) <= 1e-4 * $1 }) { return rope.scaling }
      }
    }
    return nil
  }

  /// Unscaled frequencies in radians per position, rounded to 32 bits as the original implementations do.
  private func frequencies() -> [Float] {
    (0..<dimension / 2).map { 1 / Float(pow(theta, 2 * Double($0) / Double(dimension))) }
  }

  /// Cosine and sine of every pair's angle at some positions, the last of which is the last of the sequence.
  func table(positions: Range<Int>) -> RotaryTable {
    let factors = frequencyFactors(length: positions.upperBound)
    let scaled = zip(frequencies(), factors).map { $0 / $1 }
    let magnitude = magnitude
    var table = RotaryTable(half: dimension / 2, first: positions.lowerBound, pairs: pairs)
    table.cosine.reserveCapacity(positions.count * scaled.count)
    table.sine.reserveCapacity(positions.count * scaled.count)
    for position in positions {
      for frequency in scaled {
        // The angle is rounded to 32 bits like its factors; the functions run in doubles, so that rounding their results to float
        // hides differences between C libraries.
        let angle = Double(Float(position) * frequency)
        table.cosine.append(magnitude * Float(cos(angle)))
        table.sine.append(magnitude * Float(sin(angle)))
      }
    }
    return table
  }
}

/// Cosines and sines for a range of positions, `[positions, half]`.
struct RotaryTable: Sendable {
  /// Identifies a table.
  struct Key: Hashable {
    var rope: Rope
    var positions: Range<Int>
  }

  let half: Int
  /// First position of the table.
  let first: Int
  let pairs: Rope.Pairs
  var cosine: [Float] = []
  var sine: [Float] = []

  init(half: Int, first: Int, pairs: Rope.Pairs) {
    self.half = half
    self.first = first
    self.pairs = pairs
  }

  /// Rotates the pairs of one head at a position of the table.
  func rotate(_ head: UnsafeMutablePointer<Float>, position: Int) {
    let start = (position - first) * half
    cosine.withUnsafeBufferPointer { cosine in
      sine.withUnsafeBufferPointer { sine in
        guard let cosine = cosine.baseAddress, let sine = sine.baseAddress else { return }
        switch pairs {
        case .halves: VectorKernels.rotate(head, cosine: cosine + start, sine: sine + start, half: half)
        case .neighbours:
          for i in 0..<half {
            let (x, y) = (head[2 * i], head[2 * i + 1])
            head[2 * i] = x * cosine[start + i] - y * sine[start + i]
            head[2 * i + 1] = y * cosine[start + i] + x * sine[start + i]
          }
        }
      }
    }
  }
}
