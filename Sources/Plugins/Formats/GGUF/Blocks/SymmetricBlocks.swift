import QuantCore

/// `q4_0` and `q5_0`: 32 weights `d * (q - half)`, half being 8 or 16.
///
/// Parameters: `[d]`, which is negative if the weight of largest magnitude is positive: that weight gets code 0, the
/// only one that reaches the full range. Codes: 0...2 * half - 1.
struct SymmetricBlocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] { .factors(1, stored: .f16) }

  private var half: Int32 { 1 << Int32(layout.bits - 1) }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    if let weighting {
      let weights = weighting.weights(x, columns: 0..<32, spread: weighting.rowMeanSquare)
      let fit = ScaleSearch.symmetric(x, weights: weights, half: half)
      parameters[0] = HalfFloat(fit.scale).value
      for i in 0..<32 { codes[i] = fit.codes[i] }
      return
    }
    var maximum: Float = 0
    for i in 0..<32 where x[i].magnitude > maximum.magnitude { maximum = x[i] }
    let d = maximum / -Float(half)
    let inverse = d != 0 ? 1 / d : 0
    parameters[0] = HalfFloat(d).value
    // With the scale before it is rounded to 16 bits; ties away from the full-range end.
    for i in 0..<32 {
      codes[i] = inverse.isFinite ? Int32(clamp(x[i] * inverse + (Float(half) + 0.5), 0, Float(2 * half - 1))) : 0
    }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let d = parameters[0], half = half
    let low = Float(-half), high = Float(half - 1)
    if d == 0 {
      for i in columns { codes[i] = half }
      return
    }
    for i in columns { codes[i] = nearestInteger(clamp(x[i] / d, low, high)) + half }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    let d = parameters[0], half = half
    for i in columns { destination[i] = Float(codes[i] &- half) * d }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    SimpleCodes.pack(codes, bits: layout.bits, into: bytes + 2)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    SimpleCodes.unpack(bytes + 2, bits: layout.bits, into: codes)
  }
}
