import QuantCore

/// `mxfp4-ggml` and `nvfp4-ggml`: E2M1 values under a power of two for 32 weights, or an E4M3 scale for 16, by llama.cpp's rules.
///
/// The power of two is two below that of the largest magnitude, which allows values up to 6 times the power and clips larger ones; it
/// comes from a 32-bit logarithm, which may round up just below a power of two. The E4M3 scale is a sixth of the largest
/// magnitude, without a scale of the tensor above it, so that weights below 0.003 vanish; ties round up, and from 256 on it is 448.
/// A weight halfway between two values gets the smaller one, and zero has no sign.
///
/// Parameters: the scales (1 or 4), halved, because a table holds twice the values of E2M1. Codes: bit patterns of E2M1.
struct FloatBlocks: GGUFBlockScheme {
  let layout: BlockType

  var name: String { layout.name + "-ggml" }

  private var isMicroscaling: Bool { layout == .mxfp4 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    for s in 0..<layout.parameterCount {
      let own = s * layout.scaleWeights..<(s + 1) * layout.scaleWeights
      let magnitude = own.reduce(Float(0)) { max($0, x[$1].magnitude) }
      parameters[s] =
        isMicroscaling ? FloatBlocks.halfPower(FloatBlocks.exponent(magnitude)) : FloatBlocks.halfE4M3(FloatBlocks.e4m3(magnitude / 6))
    }
    nearest(x, columns: 0..<layout.weights, parameters: parameters, codes: codes)
    // Far beyond the largest value, the distances to several values are the same float, and the first one is taken.
    for i in 0..<layout.weights where x[i].magnitude > 64 * parameters[i / layout.scaleWeights] {
      let errors = FloatBlocks.numbers.map { ($0 * parameters[i / layout.scaleWeights] - x[i]).magnitude }
      codes[i] = Int32(errors.indices.min { errors[$0] < errors[$1] } ?? 0)
    }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    forEachSubBlock(columns, length: layout.scaleWeights) { s, own in
      for i in own {
        var code: Int32 = 0
        if parameters[s] != 0 {
          for border in FloatBlocks.borders where x[i].magnitude > border * parameters[s] { code += 1 }
        }
        codes[i] = x[i] < 0 && code > 0 ? code + 8 : code
      }
    }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    forEachSubBlock(columns, length: layout.scaleWeights) { s, own in
      for i in own { destination[i] = parameters[s] * FloatBlocks.numbers[Int(codes[i] & 15)] }
    }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    for s in 0..<layout.parameterCount {
      bytes[s] = isMicroscaling ? FloatBlocks.exponent(halfPower: parameters[s]) : NumberConversion.e4m3(2 * parameters[s])
    }
    let half = layout.scaleWeights / 2
    for s in 0..<layout.parameterCount {
      let q = codes + 2 * half * s, low = bytes + layout.parameterCount + half * s
      for i in 0..<half { low[i] = UInt8(truncatingIfNeeded: q[i] & 15 | (q[i + half] & 15) << 4) }
    }
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    let half = layout.scaleWeights / 2
    for s in 0..<layout.parameterCount {
      parameters[s] = isMicroscaling ? FloatBlocks.halfPower(bytes[s]) : FloatBlocks.halfE4M3(bytes[s])
      let q = codes + 2 * half * s, low = bytes + layout.parameterCount + half * s
      for i in 0..<half {
        q[i] = Int32(low[i] & 15)
        q[i + half] = Int32(low[i] >> 4)
      }
    }
  }

  /// Twice the values of E2M1, as in llama.cpp.
  private static let numbers: [Float] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
  /// The midpoints between neighbouring values.
  private static let borders: [Float] = [0.5, 1.5, 2.5, 3.5, 5, 7, 10]

  /// `2^(e - 128)`: half the value of an E8M0 code.
  private static func halfPower(_ e: UInt8) -> Float { Float(bitPattern: e < 2 ? 0x0020_0000 << UInt32(e) : UInt32(e - 1) << 23) }

  private static func exponent(halfPower value: Float) -> UInt8 {
    value.bitPattern < 0x0080_0000 ? (value.bitPattern < 0x0040_0000 ? 0 : 1) : UInt8(clamp(value.bitPattern >> 23 + 1, 0, 255))
  }

  /// The E8M0 code two below the power of two of a magnitude; the smallest code if that is out of range.
  private static func exponent(_ magnitude: Float) -> UInt8 {
    let exponent = Int32(magnitude.bitPattern >> 23) - 127
    guard exponent >= -125 else { return 0 }
    let distance = Double(0x80_0000 - (magnitude.bitPattern & 0x7F_FFFF)) * 0x1p-24
    // The logarithm to first order, which is exact enough close to the next power.
    let rounds = distance < 0x1p-10 && Float(Double(exponent + 1) - distance * 1.4426950408889634) == Float(exponent + 1)
    return UInt8(clamp(exponent + 125 + (rounds ? 1 : 0), 0, 254))
  }

  /// Half the value of an E4M3 scale: the sign is ignored, and NaN is zero.
  private static func halfE4M3(_ code: UInt8) -> Float { code == 0x7F ? 0 : NumberConversion.float(e4m3: code & 0x7F) / 2 }

  /// Ties round up, and everything from 256 on becomes 448.
  private static func e4m3(_ value: Float) -> UInt8 {
    guard value > 0 else { return 0 }
    if value >= 256 { return 0x7E }
    if value < 0x1p-6 { return UInt8(min(7, value * 512 + 0.5)) }
    let bits = value.bitPattern
    let code = ((bits >> 23) - 120) << 3 | bits >> 20 & 7
    return UInt8(min(0x7E, code + (bits >> 19 & 1)))
  }
}
