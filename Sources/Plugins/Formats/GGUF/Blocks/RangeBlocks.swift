import QuantCore

/// `q4_1` and `q5_1`: 32 weights `d * q + m`.
///
/// Parameters: `[d, m]`. Codes: 0...15 or 0...31. Without importance, the range is exactly that of the block; with it, the
/// minimum is at most zero.
struct RangeBlocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] { .factors(2, stored: .f16) }

  private var top: Int32 { (1 << Int32(layout.bits)) - 1 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    if let weighting {
      let weights = weighting.weights(x, columns: 0..<32, spread: weighting.rowMeanSquare)
      let fit = ScaleSearch.range(x, weights: weights, top: top, steps: .weighted)
      parameters[0] = HalfFloat(fit.scale).value
      parameters[1] = HalfFloat(fit.minimum).value
      for i in 0..<32 { codes[i] = fit.codes[i] }
      return
    }
    var low = x[0], high = x[0]
    for i in 1..<32 {
      low = x[i] < low ? x[i] : low
      high = x[i] > high ? x[i] : high
    }
    let d = (high - low) / Float(top)
    let inverse = d != 0 ? 1 / d : 0
    parameters[0] = HalfFloat(d).value
    parameters[1] = HalfFloat(low).value
    // With the scale and minimum before they are rounded to 16 bits; ties up.
    for i in 0..<32 {
      codes[i] = inverse.isFinite && d.isFinite ? Int32(clamp((x[i] - low) * inverse + 0.5, 0, Float(top))) : 0
    }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let d = parameters[0], m = parameters[1], high = Float(top)
    if d == 0 {
      for i in columns { codes[i] = 0 }
      return
    }
    for i in columns { codes[i] = nearestInteger(clamp((x[i] - m) / d, 0, high)) }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    let d = parameters[0], m = parameters[1]
    for i in columns { destination[i] = Float(codes[i]) * d + m }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    HalfFloat(parameters[1]).store(bytes + 2)
    SimpleCodes.pack(codes, bits: layout.bits, into: bytes + 4)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    parameters[1] = HalfFloat(bytes + 2).value
    SimpleCodes.unpack(bytes + 4, bits: layout.bits, into: codes)
  }
}
