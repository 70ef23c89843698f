import QuantCore

/// `q8_0`: 32 weights `d * q`, signed 8-bit codes.
///
/// Parameters: `[d]`. Codes: -128...127.
struct Q8Blocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] { .factors(1, stored: .f16) }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var magnitude: Float = 0
    for i in 0..<32 { magnitude = max(magnitude, x[i].magnitude) }
    let d = magnitude / 127
    let inverse = d != 0 ? 1 / d : 0
    parameters[0] = HalfFloat(d).value
    // With the scale before it is rounded to 16 bits; ties away from zero.
    for i in 0..<32 {
      codes[i] = inverse.isFinite ? Int32(clamp((x[i] * inverse).rounded(.toNearestOrAwayFromZero), -128, 127)) : 0
    }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let d = parameters[0]
    if d == 0 {
      for i in columns { codes[i] = 0 }
      return
    }
    for i in columns { codes[i] = nearestInteger(clamp(x[i] / d, -128, 127)) }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    let d = parameters[0]
    for i in columns { destination[i] = Float(codes[i]) * d }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    for i in 0..<32 { bytes[2 + i] = UInt8(truncatingIfNeeded: codes[i]) }
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    for i in 0..<32 { codes[i] = Int32(Int8(bitPattern: bytes[2 + i])) }
  }
}
