import QuantCore

/// `q2_k`: 256 weights in 16 sub-blocks of 16, `d * scale[s] * q - dmin * min[s]`.
///
/// Parameters: `[d, dmin, scale 0…15, min 0…15]`, the last 32 being the 4-bit integers of the file. Codes: 0...3. Without
/// importance, errors are weighted by magnitudes, and the search sums absolute errors.
struct LowRangeSuperBlocks: RangedSubBlocks {
  let layout: BlockType
  var scaleRange: ClosedRange<Int> { 0...15 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var scales: [Float] = [], minima: [Float] = [], weightSums: [Float] = []
    let spread = sumOfSquares(x, 256) / 256
    for s in 0..<16 {
      let own = x + 16 * s
      let weights =
        weighting?.weights(x, columns: 16 * s..<16 * s + 16, spread: spread) ?? (0..<16).map { own[$0].magnitude }
      let fit =
        weighting != nil
        ? ScaleSearch.range(own, weights: weights, top: top, steps: .weighted)
        : ScaleSearch.range(own, weights: weights, top: top, steps: .short, error: .absolute)
      scales.append(fit.scale)
      minima.append(-fit.minimum)
      weightSums.append(weights.reduce(0, +))
      for i in 0..<16 { codes[16 * s + i] = fit.codes[i] }
    }
    var packed = [UInt8](repeating: 0, count: 16)
    let d: Float, dmin: Float
    if weighting != nil {
      let scaleFit = ScaleSearch.positive(scales, weights: weightSums, top: 15)
      let minimumFit = ScaleSearch.positive(minima, weights: weightSums, top: 15)
      (d, dmin) = (scaleFit.scale, minimumFit.scale)
      for s in 0..<16 { packed[s] = scaleFit.codes[s] | minimumFit.codes[s] << 4 }
    } else {
      d = roundToNibbles(scales, shift: 0, &packed)
      dmin = roundToNibbles(minima, shift: 4, &packed)
    }
    parameters[0] = HalfFloat(d).value
    parameters[1] = HalfFloat(dmin).value
    for s in 0..<16 {
      parameters[2 + s] = Float(packed[s] & 15)
      parameters[18 + s] = Float(packed[s] >> 4)
      roundAgain(x, s, parameters: parameters, codes: codes)
    }
  }

  /// Without importance, the largest gets 15. Others that a division by almost zero makes too large are truncated to a byte.
  private func roundToNibbles(_ x: [Float], shift: Int32, _ packed: inout [UInt8]) -> Float {
    var maximum: Float = 0
    for value in x where value > maximum { maximum = value }
    if maximum <= 0 { return 0 }
    for s in x.indices { packed[s] |= UInt8(truncatingIfNeeded: nearestInteger(15 / maximum * x[s]) << shift) }
    return maximum / 15
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    for s in 0..<16 {
      bytes[s] = UInt8(clamp(parameters[2 + s], 0, 15)) | UInt8(clamp(parameters[18 + s], 0, 15)) << 4
    }
    CodePairs.pack(codes, into: bytes + 16)
    HalfFloat(parameters[0]).store(bytes + 80)
    HalfFloat(parameters[1]).store(bytes + 82)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    for s in 0..<16 {
      parameters[2 + s] = Float(bytes[s] & 15)
      parameters[18 + s] = Float(bytes[s] >> 4)
    }
    CodePairs.unpack(bytes + 16, into: codes)
    parameters[0] = HalfFloat(bytes + 80).value
    parameters[1] = HalfFloat(bytes + 82).value
  }
}

/// The two low bits of 256 codes: four codes at a distance of 32 share a byte, one half of the block after the other.
enum CodePairs {
  static func pack(_ codes: UnsafePointer<Int32>, into bytes: UnsafeMutablePointer<UInt8>) {
    for half in 0..<2 {
      let q = codes + 128 * half
      for i in 0..<32 {
        let pairs = q[i] & 3 | (q[i + 32] & 3) << 2 | (q[i + 64] & 3) << 4 | (q[i + 96] & 3) << 6
        bytes[32 * half + i] = UInt8(truncatingIfNeeded: pairs)
      }
    }
  }

  static func unpack(_ bytes: UnsafePointer<UInt8>, into codes: UnsafeMutablePointer<Int32>) {
    for i in 0..<256 { codes[i] = Int32(bytes[i / 128 * 32 + i % 32] >> UInt8(i % 128 / 32 * 2) & 3) }
  }
}
