import QuantCore

/// `q3_k`: 256 weights in 16 sub-blocks of 16, `d * scale[s] * (q - 4)`.
///
/// Parameters: `[d, scale 0…15]`, the scales being the 6-bit integers of the file minus 32. Codes: 0...7. A block of zeros has the
/// scales -32 under `d = 0`.
struct LowSymmetricSuperBlocks: ScaledSubBlocks {
  let layout: BlockType
  var scaleRange: ClosedRange<Int> { -32...31 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var scales: [Float] = [], weightSums: [Float] = []
    let spread = 2 * sumOfSquares(x, 256) / 256
    for s in 0..<16 {
      let own = x + 16 * s
      let fit: (scale: Float, codes: [Int32])
      if let weighting {
        let weights = weighting.weights(x, columns: 16 * s..<16 * s + 16, spread: spread)
        weightSums.append(weights.reduce(0, +))
        fit = ScaleSearch.symmetric(own, weights: weights, half: 4)
      } else {
        fit = ScaleSearch.moves(own, count: 16, half: 4)
      }
      scales.append(fit.scale)
      for i in 0..<16 { codes[16 * s + i] = fit.codes[i] }
    }
    let (d, scaleCodes) =
      weighting != nil
      ? scales.withUnsafeBufferPointer { buffer in
        buffer.baseAddress.map { ScaleSearch.symmetric($0, weights: weightSums, half: 32) } ?? (0, [])
      } : roundToSixBits(scales)
    parameters[0] = HalfFloat(d).value
    for s in 0..<16 {
      parameters[1 + s] = Float(scaleCodes[s] - 32)
      roundAgain(x, s, parameters: parameters, codes: codes)
    }
  }

  /// Without importance, the scale of largest magnitude gets -32.
  private func roundToSixBits(_ scales: [Float]) -> (Float, [Int32]) {
    var maximum: Float = 0
    for scale in scales where scale.magnitude > maximum.magnitude { maximum = scale }
    if maximum == 0 { return (0, [Int32](repeating: 0, count: 16)) }
    let inverse = -32 / maximum
    return (1 / inverse, scales.map { clamp(Int32(Int8(truncatingIfNeeded: nearestInteger(inverse * $0))), -32, 31) + 32 })
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    for i in 0..<32 {
      var word: Int32 = 0
      for k in 0..<8 { word |= (codes[32 * k + i] >> 2 & 1) << Int32(k) }
      bytes[i] = UInt8(truncatingIfNeeded: word)
    }
    CodePairs.pack(codes, into: bytes + 32)
    // Low nibbles of scales 0…7 and 8…15 share bytes 0…7; then the top two bits of four scales at a distance of 4 share a byte.
    func integer(_ s: Int) -> UInt8 { UInt8(clamp(parameters[1 + s], -32, 31) + 32) }
    for s in 0..<8 { bytes[96 + s] = integer(s) & 15 | (integer(s + 8) & 15) << 4 }
    for s in 0..<4 {
      bytes[104 + s] = integer(s) >> 4 | (integer(s + 4) >> 4) << 2 | (integer(s + 8) >> 4) << 4 | (integer(s + 12) >> 4) << 6
    }
    HalfFloat(parameters[0]).store(bytes + 108)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    CodePairs.unpack(bytes + 32, into: codes)
    for i in 0..<256 { codes[i] |= Int32(bytes[i % 32] >> UInt8(i / 32) & 1) << 2 }
    for s in 0..<16 {
      let low = bytes[96 + s % 8] >> UInt8(s / 8 * 4) & 15
      parameters[1 + s] = Float(low | (bytes[104 + s % 4] >> UInt8(s / 4 * 2) & 3) << 4) - 32
    }
    parameters[0] = HalfFloat(bytes + 108).value
  }
}
