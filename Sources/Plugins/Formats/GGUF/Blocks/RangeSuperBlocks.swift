import QuantCore

/// `q4_k` and `q5_k`: 256 weights in 8 sub-blocks of 32, `d * scale[s] * q - dmin * min[s]`.
///
/// Parameters: `[d, dmin, scale 0…7, min 0…7]`, the last sixteen being the 6-bit integers of the file. Codes: 0...15 or
/// 0...31.
struct RangeSuperBlocks: RangedSubBlocks {
  let layout: BlockType
  var scaleRange: ClosedRange<Int> { 0...63 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var scales: [Float] = [], minima: [Float] = [], weightSums: [Float] = []
    let spread = 2 * sumOfSquares(x, 256) / 256
    for s in 0..<8 {
      let own = x + 32 * s
      var weights: [Float]
      if let weighting {
        weights = weighting.weights(x, columns: 32 * s..<32 * s + 32, spread: spread)
      } else {
        let root = (sumOfSquares(own, 32) / 32).squareRoot()
        weights = (0..<32).map { root + own[$0].magnitude }
      }
      let steps: ScaleSearch.Steps = weighting != nil ? .weighted : layout.bits == 4 ? .q4k : .short
      let fit = ScaleSearch.range(own, weights: weights, top: top, steps: steps)
      scales.append(fit.scale)
      minima.append(-fit.minimum)
      weightSums.append(weights.reduce(0, +))
      for i in 0..<32 { codes[32 * s + i] = fit.codes[i] }
    }
    let (d, scaleCodes) = weighting != nil ? ScaleSearch.positive(scales, weights: weightSums, top: 63) : roundToSixBits(scales)
    let (dmin, minimumCodes) = weighting != nil ? ScaleSearch.positive(minima, weights: weightSums, top: 63) : roundToSixBits(minima)
    parameters[0] = HalfFloat(d).value
    parameters[1] = HalfFloat(dmin).value
    for s in 0..<8 {
      parameters[2 + s] = Float(scaleCodes[s])
      parameters[10 + s] = Float(minimumCodes[s])
      roundAgain(x, s, parameters: parameters, codes: codes)
    }
  }

  /// Without importance, the largest sub-block scale gets 63.
  private func roundToSixBits(_ x: [Float]) -> (Float, [UInt8]) {
    var maximum: Float = 0
    for value in x where value > maximum { maximum = value }
    let inverse = maximum > 0 ? 63 / maximum : 0
    return (maximum / 63, x.map { min(63, UInt8(truncatingIfNeeded: nearestInteger(inverse * $0))) })
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    HalfFloat(parameters[1]).store(bytes + 2)
    // The first four scales and minima fill the low six bits of bytes 0…3 and 4…7; the last four are nibbles in bytes
    // 8…11, with their top two bits in the high bits of the first eight.
    func integer(_ index: Int) -> UInt8 { UInt8(clamp(parameters[index], 0, 63)) }
    for s in 0..<4 {
      bytes[4 + s] = integer(2 + s) | (integer(6 + s) >> 4) << 6
      bytes[8 + s] = integer(10 + s) | (integer(14 + s) >> 4) << 6
      bytes[12 + s] = integer(6 + s) & 15 | (integer(14 + s) & 15) << 4
    }
    var low = bytes + 16
    if layout.bits == 5 {
      for i in 0..<32 {
        var word: Int32 = 0
        for s in 0..<8 { word |= (codes[32 * s + i] >> 4 & 1) << Int32(s) }
        low[i] = UInt8(truncatingIfNeeded: word)
      }
      low += 32
    }
    for pair in 0..<4 {
      for i in 0..<32 {
        low[32 * pair + i] = UInt8(truncatingIfNeeded: codes[64 * pair + i] & 15 | (codes[64 * pair + 32 + i] & 15) << 4)
      }
    }
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    parameters[1] = HalfFloat(bytes + 2).value
    for s in 0..<4 {
      parameters[2 + s] = Float(bytes[4 + s] & 63)
      parameters[10 + s] = Float(bytes[8 + s] & 63)
      parameters[6 + s] = Float(bytes[12 + s] & 15 | (bytes[4 + s] >> 6) << 4)
      parameters[14 + s] = Float(bytes[12 + s] >> 4 | (bytes[8 + s] >> 6) << 4)
    }
    let high = bytes + 16, low = layout.bits == 5 ? bytes + 48 : bytes + 16
    for pair in 0..<4 {
      for i in 0..<32 {
        codes[64 * pair + i] = Int32(low[32 * pair + i] & 15)
        codes[64 * pair + 32 + i] = Int32(low[32 * pair + i] >> 4)
      }
    }
    guard layout.bits == 5 else { return }
    for s in 0..<8 {
      for i in 0..<32 { codes[32 * s + i] |= Int32(high[i] >> UInt8(s) & 1) << 4 }
    }
  }
}
