/// Weighted searches for the scale (and minimum) of a block, as llama.cpp does them: one operation after another in
/// 32-bit floats. The C kernels do the same for many blocks at once and must agree in every bit.
enum ScaleSearch {
  /// Steps of a range search: for s in `0...last`, codes are computed with the scale `(first + step * s + top) / range`.
  struct Steps {
    var first: Float
    var step: Float
    var last: Int
    static let q4k = Steps(first: -1, step: 0.1, last: 20)
    /// `q5_k` and `q2_k`.
    static let short = Steps(first: -0.5, step: 0.1, last: 15)
    /// With importance, for every layout that has minima.
    static let weighted = Steps(first: -0.9, step: 0.05, last: 36)
  }

  /// A least-squares fit `x = scale * code + minimum`.
  struct RangeFit {
    var scale: Float
    var minimum: Float
    var codes: [Int32]
  }

  /// A block whose magnitudes are below this counts as zero.
  static let smallest: Float = 1e-15

  /// The error that a range search sums, weighted, to compare its fits.
  enum ErrorKind { case squared, absolute }

  /// Codes in `0...top`, minimum at most zero.
  static func range(
    _ x: UnsafePointer<Float>, weights w: [Float], top: Int32, steps: Steps, error kind: ErrorKind = .squared
  ) -> RangeFit {
    let count = w.count
    var minimum = x[0], maximum = x[0]
    var weightSum = w[0], weightedSum = w[0] * x[0]
    for i in 1..<count {
      minimum = x[i] < minimum ? x[i] : minimum
      maximum = x[i] > maximum ? x[i] : maximum
      weightSum += w[i]
      weightedSum += w[i] * x[i]
    }
    if minimum > 0 { minimum = 0 }
    if maximum <= minimum { return RangeFit(scale: 0, minimum: minimum, codes: [Int32](repeating: 0, count: count)) }

    var codes = rangeCodes(x, count, inverseScale: Float(top) / (maximum - minimum), minimum: minimum, top: top)
    var best = RangeFit(scale: 1 / (Float(top) / (maximum - minimum)), minimum: minimum, codes: codes)
    var bestError = error(kind, x, w, best.scale, best.minimum, codes)
    for step in 0...steps.last {
      // The minimum found so far is used: every improvement changes the later candidates.
      let inverse = (steps.first + steps.step * Float(step) + Float(top)) / (maximum - best.minimum)
      codes = rangeCodes(x, count, inverseScale: inverse, minimum: best.minimum, top: top)
      var sumL: Float = 0, sumLL: Float = 0, sumXL: Float = 0
      for i in 0..<count {
        let code = Float(codes[i])
        sumL += w[i] * code
        sumLL += w[i] * code * code
        sumXL += w[i] * code * x[i]
      }
      let determinant = weightSum * sumLL - sumL * sumL
      guard determinant > 0 else { continue }
      var scale = (weightSum * sumXL - weightedSum * sumL) / determinant
      var offset = (sumLL * weightedSum - sumL * sumXL) / determinant
      if offset > 0 {
        offset = 0
        scale = sumXL / sumLL
      }
      let found = error(kind, x, w, scale, offset, codes)
      if found < bestError {
        bestError = found
        best = RangeFit(scale: scale, minimum: offset, codes: codes)
      }
    }
    return best
  }

  private static func rangeCodes(
    _ x: UnsafePointer<Float>, _ count: Int, inverseScale: Float, minimum: Float, top: Int32
  ) -> [Int32] {
    (0..<count).map { clamp(nearestInteger(inverseScale * (x[$0] - minimum)), 0, top) }
  }

  private static func error(
    _ kind: ErrorKind, _ x: UnsafePointer<Float>, _ w: [Float], _ scale: Float, _ minimum: Float, _ codes: [Int32]
  ) -> Float {
    var sum: Float = 0
    for i in codes.indices {
      let difference = scale * Float(codes[i]) + minimum - x[i]
      sum += w[i] * (kind == .squared ? difference * difference : difference.magnitude)
    }
    return sum
  }

  /// Least squares `x = scale * (code - half)`, codes in `0...2 * half - 1`. A block of zeros gets scale 0 and codes 0.
  static func symmetric(_ x: UnsafePointer<Float>, weights w: [Float], half: Int32) -> (scale: Float, codes: [Int32]) {
    let count = w.count
    var maximum: Float = 0
    for i in 0..<count where x[i].magnitude > maximum.magnitude { maximum = x[i] }
    if maximum.magnitude < smallest { return (0, [Int32](repeating: 0, count: count)) }

    func trial(_ inverse: Float) -> (codes: [Int32], sumXL: Float, sumLL: Float) {
      var sumXL: Float = 0, sumLL: Float = 0
      let codes = (0..<count).map { clamp(nearestInteger(inverse * x[$0]), -half, half - 1) }
      for i in 0..<count {
        let code = Float(codes[i])
        sumXL += w[i] * x[i] * code
        sumLL += w[i] * code * code
      }
      return (codes, sumXL, sumLL)
    }
    var (codes, sumXL, sumLL) = trial(-Float(half) / maximum)
    var scale = sumLL != 0 ? sumXL / sumLL : 0
    var best = scale * sumXL
    for step in -9...9 where step != 0 {
      let candidate = trial(-(Float(half) + 0.1 * Float(step)) / maximum)
      (sumXL, sumLL) = (candidate.sumXL, candidate.sumLL)
      if sumLL > 0 && sumXL * sumXL > best * sumLL {
        scale = sumXL / sumLL
        best = scale * sumXL
        codes = candidate.codes
      }
    }
    return (scale, codes.map { $0 + half })
  }

  /// Weighted fit `x = scale * code` of non-negative sub-block scales or minima, codes in `0...top`.
  static func positive(_ x: [Float], weights w: [Float], top: Int32) -> (scale: Float, codes: [UInt8]) {
    var maximum: Float = 0
    for value in x where value > maximum { maximum = value }
    if maximum < smallest { return (0, [UInt8](repeating: 0, count: x.count)) }

    func error(_ inverse: Float, limit: Int32) -> Float {
      let scale = 1 / inverse
      var sum: Float = 0
      for i in x.indices {
        let difference = x[i] - scale * Float(min(limit, nearestInteger(inverse * x[i])))
        sum += w[i] * difference * difference
      }
      return sum
    }
    var inverse = Float(top) / maximum
    // The first candidate is not limited to `top`, because rounding cannot exceed it here.
    var best = error(inverse, limit: 255)
    for step in -4...4 where step != 0 {
      let candidate = (0.1 * Float(step) + Float(top)) / maximum
      let sum = error(candidate, limit: top)
      if sum < best { (best, inverse) = (sum, candidate) }
    }
    var codes = x.map { UInt8(truncatingIfNeeded: min(top, nearestInteger(inverse * $0))) }
    var sumXL: Float = 0, sumLL: Float = 0
    for i in x.indices {
      sumXL += w[i] * x[i] * Float(codes[i])
      sumLL += w[i] * Float(codes[i]) * Float(codes[i])
    }
    // Change single codes as long as that explains more of x.
    for _ in 0..<5 {
      var changed = false
      for i in x.indices {
        let old = Float(codes[i])
        var restXL = sumXL - w[i] * x[i] * old
        var restLL = sumLL - w[i] * old * old
        guard restXL > 0, restLL > 0 else { continue }
        let code = min(top, nearestInteger(x[i] * restLL / restXL))
        guard code != Int32(codes[i]) else { continue }
        restXL += w[i] * x[i] * Float(code)
        restLL += w[i] * Float(code) * Float(code)
        if restXL * restXL * sumLL > sumXL * sumXL * restLL {
          codes[i] = UInt8(truncatingIfNeeded: code)
          (sumXL, sumLL) = (restXL, restLL)
          changed = true
        }
      }
      if !changed { break }
    }
    return (sumLL > 0 ? sumXL / sumLL : 0, codes)
  }
}

/// Rounds to nearest, ties to even, by adding 1.5 * 2^23; what this gives for infinities and NaN is part of the reference.
@inline(__always)
func nearestInteger(_ value: Float) -> Int32 {
  Int32(truncatingIfNeeded: (value + 12_582_912).bitPattern & 0x007F_FFFF) - 0x0040_0000
}

/// `value` limited to a range; `low` for NaN.
@inline(__always)
func clamp<Value: Comparable>(_ value: Value, _ low: Value, _ high: Value) -> Value {
  let raised = value > low ? value : low
  return raised < high ? raised : high
}
