import QuantCore

/// `q6_k`: 256 weights in 16 sub-blocks of 16, `d * scale[s] * (q - 32)`.
///
/// Parameters: `[d, scale 0…15]`, the scales being the signed 8-bit integers of the file. Codes: 0...63.
struct SymmetricSuperBlocks: ScaledSubBlocks {
  let layout: BlockType
  var scaleRange: ClosedRange<Int> { -128...127 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var scales: [Float] = []
    var maximum: Float = 0
    for s in 0..<16 {
      let own = x + 16 * s
      let weights = (0..<16).map { weighting?.importance[16 * s + $0] ?? own[$0] * own[$0] }
      let fit = ScaleSearch.symmetric(own, weights: weights, half: 32)
      scales.append(fit.scale)
      if fit.scale.magnitude > maximum.magnitude { maximum = fit.scale }
      for i in 0..<16 { codes[16 * s + i] = fit.codes[i] }
    }
    if maximum.magnitude < ScaleSearch.smallest {
      for i in 0..<17 { parameters[i] = 0 }
      for i in 0..<256 { codes[i] = 0 }
      return
    }
    let inverse = -128 / maximum
    parameters[0] = HalfFloat(1 / inverse).value
    for s in 0..<16 {
      parameters[1 + s] = Float(Int8(truncatingIfNeeded: min(127, nearestInteger(inverse * scales[s]))))
      roundAgain(x, s, parameters: parameters, codes: codes)
    }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    // Each half of the block: low nibbles of quarters 0 and 2, then of 1 and 3; the two high bits of all quarters in a byte.
    for half in 0..<2 {
      let q = codes + 128 * half, low = bytes + 64 * half, high = bytes + 128 + 32 * half
      for i in 0..<64 { low[i] = UInt8(truncatingIfNeeded: q[i] & 15 | (q[i + 64] & 15) << 4) }
      for i in 0..<32 {
        let pairs = q[i] >> 4 & 3 | (q[i + 32] >> 4 & 3) << 2 | (q[i + 64] >> 4 & 3) << 4 | (q[i + 96] >> 4 & 3) << 6
        high[i] = UInt8(truncatingIfNeeded: pairs)
      }
    }
    for s in 0..<16 { bytes[192 + s] = UInt8(bitPattern: Int8(clamp(parameters[1 + s], -128, 127))) }
    HalfFloat(parameters[0]).store(bytes + 208)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    for half in 0..<2 {
      let q = codes + 128 * half, low = bytes + 64 * half, high = bytes + 128 + 32 * half
      for i in 0..<64 {
        q[i] = Int32(low[i] & 15)
        q[i + 64] = Int32(low[i] >> 4)
      }
      for quarter in 0..<4 {
        for i in 0..<32 { q[32 * quarter + i] |= Int32(high[i] >> UInt8(2 * quarter) & 3) << 4 }
      }
    }
    for s in 0..<16 { parameters[1 + s] = Float(Int8(bitPattern: bytes[192 + s])) }
    parameters[0] = HalfFloat(bytes + 208).value
  }
}
