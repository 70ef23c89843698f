import QuantPlatform

extension Rope {
  /// What each pair's frequency `theta^(-2i/dimension)` is divided by: one factor per pair (i, i + dimension/2).
  ///
  /// Llama 3.1 keeps wavelengths shorter than `originalContext / highFrequency`, stretches those longer than
  /// `originalContext / lowFrequency` by `factor`, and interpolates the frequency between. The same factors are what a GGUF
  /// stores as `rope_freqs.weight`.
  public func frequencyFactors() -> [Float] {
    let pairs = dimension / 2
    switch scaling {
    case .none: return [Float](repeating: 1, count: pairs)
    case .linear(let factor): return [Float](repeating: Float(factor), count: pairs)
    case .factors(let factors): return factors
    case .llama3(let factor, let low, let high, let context):
      return frequencies().map { frequency in
        let turns = Double(context) * Double(frequency) / (2 * Double.pi)
        if turns > high { return 1 }
        if turns < low { return Float(factor) }
        let share = (turns - low) / (high - low)
        return Float(1 / ((1 - share) / factor + share))
      }
    }
  }

  /// The scaling of Llama 3.1 that gives stored factors, or nil where none of the usual ones does. Its four numbers cannot be
  /// read off the factors: only the quotients of the context with the two limits matter.
  public func llama3Scaling(giving factors: [Float]) -> Scaling? {
    guard let largest = factors.max(), factors.count == dimension / 2 else { return nil }
    // The original context of the published models, then other powers of two.
    for context in [8192] + (6...20).map({ 1 << $0 }) {
      var rope = self
      rope.scaling = .llama3(factor: Double(largest), lowFrequency: 1, highFrequency: 4, originalContext: context)
      if zip(rope.frequencyFactors(), factors).allSatisfy({ abs($0 - $1) <= 1e-4 * $1 }) { return rope.scaling }
    }
    return nil
  }

  /// Unscaled frequencies in radians per position, rounded to 32 bits as the original implementations do.
  private func frequencies() -> [Float] {
    (0..<dimension / 2).map { 1 / Float(pow(theta, 2 * Double($0) / Double(dimension))) }
  }

  /// Cosine and sine of every pair's angle at some positions.
  func table(positions: Range<Int>) -> RotaryTable {
    let factors = frequencyFactors()
    let scaled = zip(frequencies(), factors).map { $0 / $1 }
    var table = RotaryTable(half: dimension / 2, first: positions.lowerBound)
    table.cosine.reserveCapacity(positions.count * scaled.count)
    table.sine.reserveCapacity(positions.count * scaled.count)
    for position in positions {
      for frequency in scaled {
        // The angle is rounded to 32 bits like its factors; the functions run in doubles, so that rounding their results
        // hides differences between C libraries.
        let angle = Double(Float(position) * frequency)
        table.cosine.append(Float(cos(angle)))
        table.sine.append(Float(sin(angle)))
      }
    }
    return table
  }
}

/// Cosines and sines for a range of positions, `[positions, half]`.
struct RotaryTable: Sendable {
  let half: Int
  /// First position of the table.
  let first: Int
  var cosine: [Float] = []
  var sine: [Float] = []

  init(half: Int, first: Int) {
    self.half = half
    self.first = first
  }

  /// Turns the pairs of one head at a position of the table.
  func rotate(_ head: UnsafeMutablePointer<Float>, position: Int) {
    let start = (position - first) * half
    cosine.withUnsafeBufferPointer { cosine in
      sine.withUnsafeBufferPointer { sine in
        guard let cosine = cosine.baseAddress, let sine = sine.baseAddress else { return }
        VectorKernels.rotate(head, cosine: cosine + start, sine: sine + start, half: half)
      }
    }
  }
}

extension HyperParameters {
  /// The rotary table for some positions; nil for a model that has none.
  func rotaryTable(positions range: Range<Int>) -> RotaryTable? { positions == .rotary ? rope.table(positions: range) : nil }
}
