extension ScaleSearch {
  /// Least squares `x = scale * (code - half)` with weights `x²`, codes in `0...2 * half - 1`, improved by changing single codes as
  /// long as that explains more of `x`. A block of zeros gets scale 0 and codes 0.
  static func moves(_ x: UnsafePointer<Float>, count: Int, half: Int32) -> (scale: Float, codes: [Int32]) {
    var maximum: Float = 0
    for i in 0..<count where x[i].magnitude > maximum.magnitude { maximum = x[i] }
    if maximum.magnitude < smallest { return (0, [Int32](repeating: 0, count: count)) }
    let inverse = -Float(half) / maximum
    var codes = (0..<count).map { clamp(nearestInteger(inverse * x[$0]), -half, half - 1) }
    var sumXL: Float = 0, sumLL: Float = 0
    for i in 0..<count {
      let w = x[i] * x[i], code = Float(codes[i])
      sumXL += w * x[i] * code
      sumLL += w * code * code
    }
    for _ in 0..<5 {
      var changed = false
      for i in 0..<count {
        let w = x[i] * x[i], old = Float(codes[i])
        var restXL = sumXL - w * x[i] * old
        guard restXL > 0 else { continue }
        var restLL = sumLL - w * old * old
        let code = clamp(nearestInteger(x[i] * restLL / restXL), -half, half - 1)
        guard code != codes[i] else { continue }
        restXL += w * x[i] * Float(code)
        restLL += w * Float(code) * Float(code)
        if restLL > 0 && restXL * restXL * sumLL > sumXL * sumXL * restLL {
          codes[i] = code
          (sumXL, sumLL) = (restXL, restLL)
          changed = true
        }
      }
      if !changed { break }
    }
    return (sumLL > 0 ? sumXL / sumLL : 0, codes.map { $0 + half })
  }

  /// Least squares `x = scale * level` with the uneven levels of `iq4_nl`. A block of zeros gets scale 0.
  static func levels(_ x: UnsafePointer<Float>, weights w: [Float]) -> Float {
    var maximum: Float = 0
    for i in w.indices where x[i].magnitude > maximum.magnitude { maximum = x[i] }
    if maximum.magnitude < smallest { return 0 }
    func sums(_ inverse: Float) -> (xl: Float, ll: Float) {
      var sumXL: Float = 0, sumLL: Float = 0
      for i in w.indices {
        let level = UnevenLevels.values[Int(UnevenLevels.nearest(inverse * x[i]))]
        sumXL += w[i] * level * x[i]
        sumLL += w[i] * level * level
      }
      return (sumXL, sumLL)
    }
    let lowest = UnevenLevels.values[0]
    let first = sums(1 / (-maximum / lowest))
    var scale = first.ll > 0 ? first.xl / first.ll : 0
    var best = scale * first.xl
    for step in -7...7 {
      let found = sums((Float(step) + lowest) / maximum)
      if found.ll > 0 && found.xl * found.xl > best * found.ll {
        scale = found.xl / found.ll
        best = scale * found.xl
      }
    }
    return scale
  }
}
