import QuantCore

/// `iq4_xs`: 256 weights in 8 sub-blocks of 32, `d * scale[s] * level[q]`, with the levels of `iq4_nl`.
///
/// Parameters: `[d, scale 0…7]`, the scales being the 6-bit integers of the file minus 32. Codes: 0...15, computed with `d`
/// before it is rounded to 16 bits.
struct LevelSuperBlocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] {
    .integers(-32...31, from: 1, subBlocks: 8, length: layout.scaleWeights) + .factors(1, stored: .f16)
  }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    let spread = sumOfSquares(x, 256) * (2 / 256)
    var scales: [Float] = []
    var maximum: Float = 0
    for s in 0..<8 {
      let own = x + 32 * s
      let weights =
        weighting?.weights(x, columns: 32 * s..<32 * s + 32, spread: spread) ?? (0..<32).map { own[$0] * own[$0] }
      scales.append(ScaleSearch.levels(own, weights: weights))
      if scales[s].magnitude > maximum.magnitude { maximum = scales[s] }
    }
    let d = -maximum / 32
    let inverse = d != 0 ? 1 / d : 0
    parameters[0] = HalfFloat(d).value
    for s in 0..<8 {
      let code = clamp(nearestInteger(inverse * scales[s]), -32, 31)
      parameters[1 + s] = Float(code)
      let scale = d * Float(code)
      let own = scale != 0 ? 1 / scale : 0
      for i in 32 * s..<32 * s + 32 { codes[i] = UnevenLevels.nearest(own * x[i]) }
    }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    forEachSubBlock(columns, length: 32) { s, own in
      let scale = parameters[0] * parameters[1 + s]
      for i in own { codes[i] = UnevenLevels.nearest(scale == 0 ? 0 : x[i] / scale) }
    }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    forEachSubBlock(columns, length: 32) { s, own in
      let scale = parameters[0] * parameters[1 + s]
      for i in own { destination[i] = scale * UnevenLevels.values[Int(codes[i] & 15)] }
    }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    // The two high bits of each scale in a 16-bit word, then the nibbles.
    var high: UInt16 = 0
    var low = [UInt8](repeating: 0, count: 4)
    for s in 0..<8 {
      let scale = UInt8(clamp(parameters[1 + s], -32, 31) + 32)
      high |= UInt16(scale >> 4) << UInt16(2 * s)
      low[s / 2] |= (scale & 15) << UInt8(s % 2 * 4)
    }
    bytes[2] = UInt8(truncatingIfNeeded: high)
    bytes[3] = UInt8(truncatingIfNeeded: high >> 8)
    for i in 0..<4 { bytes[4 + i] = low[i] }
    for s in 0..<8 { SimpleCodes.pack(codes + 32 * s, bits: 4, into: bytes + 8 + 16 * s) }
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    let high = UInt16(bytes[2]) | UInt16(bytes[3]) << 8
    for s in 0..<8 {
      let scale = UInt16(bytes[4 + s / 2] >> UInt8(s % 2 * 4) & 15) | (high >> UInt16(2 * s) & 3) << 4
      parameters[1 + s] = Float(scale) - 32
    }
    for s in 0..<8 { SimpleCodes.unpack(bytes + 8 + 16 * s, bits: 4, into: codes + 32 * s) }
  }
}
