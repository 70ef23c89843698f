import QuantCore

/// `tq1_0`, `tq2_0` and `q2_0`: 256 (64) weights `d * (q - 1)`, rounded to -1, 0 and 1 times the largest magnitude.
///
/// Parameters: `[d]`. Codes: 0...2; `q2_0` has a code 3, which is nearest to no weight while `d` is the largest magnitude, but which
/// error feedback may use. Importance is not used.
struct TernaryBlocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] { .factors(1, stored: .f16) }

  private var top: Float { layout == .q2_0 ? 3 : 2 }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var d: Float = 0
    for i in 0..<layout.weights { d = max(d, x[i].magnitude) }
    let inverse = d != 0 ? 1 / d : 0
    parameters[0] = HalfFloat(d).value
    for i in 0..<layout.weights {
      // What an infinite reciprocal gives follows the reference: its conversion to an integer is that of x86.
      let nearest = clamp((x[i] * inverse).rounded(.toNearestOrAwayFromZero), -1, 1)
      codes[i] = inverse.isFinite ? Int32(nearest) + 1 : layout == .q2_0 ? 0 : 1
    }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let d = parameters[0]
    for i in columns { codes[i] = d == 0 ? 1 : nearestInteger(clamp(x[i] / d, -1, top - 1)) + 1 }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    for i in columns { destination[i] = Float(codes[i] &- 1) * parameters[0] }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    switch layout {
    case .tq1_0:
      for (first, stretch) in TernaryBlocks.stretches {
        for i in 0..<stretch.count {
          let number = (0..<5).reduce(0) { 3 * $0 + ($1 < stretch.digits ? clamp(codes[stretch.start + i + $1 * stretch.count], 0, 2) : 0) }
          bytes[first + i] = UInt8(truncatingIfNeeded: (number * 256 + 242) / 243)
        }
      }
    case .tq2_0: CodePairs.pack(codes, into: bytes)
    default:
      for i in 0..<16 {
        let q = codes + 4 * i
        bytes[2 + i] = UInt8(truncatingIfNeeded: q[0] & 3 | (q[1] & 3) << 2 | (q[2] & 3) << 4 | (q[3] & 3) << 6)
      }
    }
    HalfFloat(parameters[0]).store(bytes + scaleOffset)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    switch layout {
    case .tq1_0:
      for (first, stretch) in TernaryBlocks.stretches {
        var power: UInt8 = 1
        for digit in 0..<stretch.digits {
          for i in 0..<stretch.count {
            // A power of three moves the digit to the front; multiplying the rest by three carries it out of the byte.
            codes[stretch.start + i + digit * stretch.count] = Int32((UInt16(bytes[first + i] &* power) * 3) >> 8)
          }
          power &*= 3
        }
      }
    case .tq2_0: CodePairs.unpack(bytes, into: codes)
    default: for i in 0..<64 { codes[i] = Int32(bytes[2 + i / 4] >> UInt8(i % 4 * 2) & 3) }
    }
    parameters[0] = HalfFloat(bytes + scaleOffset).value
  }

  private var scaleOffset: Int { layout == .q2_0 ? 0 : layout.bytes - 2 }

  /// Bytes of five ternary digits, the first being the most significant, as 256 / 243 of their number rounded up: where the bytes
  /// begin, and the weight of the first digit, the number of bytes and of digits used. Digits of a byte are `count` weights apart.
  private static let stretches: [(Int, (start: Int, count: Int, digits: Int))] = [(0, (0, 32, 5)), (32, (160, 16, 5)), (48, (240, 4, 4))]
}

/// `q1_0`: 128 weights `d` or `-d`, where d is the mean magnitude.
///
/// Parameters: `[d]`. Codes: 0 for negative weights, otherwise 1. Importance is not used.
struct SignBlocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] { .factors(1, stored: .f16) }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    var sum: Float = 0
    for i in 0..<128 { sum += x[i].magnitude }
    parameters[0] = HalfFloat(sum / 128).value
    for i in 0..<128 { codes[i] = x[i] >= 0 ? 1 : 0 }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    for i in columns { codes[i] = (x[i] >= 0) == (parameters[0] >= 0) ? 1 : 0 }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    for i in columns { destination[i] = codes[i] != 0 ? parameters[0] : -parameters[0] }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    for i in 0..<16 {
      bytes[2 + i] = (0..<8).reduce(0) { $0 | UInt8(truncatingIfNeeded: codes[8 * i + $1] & 1) << UInt8($1) }
    }
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    for i in 0..<128 { codes[i] = Int32(bytes[2 + i / 8] >> UInt8(i % 8) & 1) }
  }
}
