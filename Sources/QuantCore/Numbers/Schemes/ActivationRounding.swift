import CKernels

/// Rounds activations by a scheme, by the rule of compressed-tensors (`ActivationScheme.parameters`): codes round half to even
/// and are clamped, in 32-bit arithmetic.
///
/// vLLM's kernels divide the largest magnitude by 127 where this rule divides by 127.5, which differs by less than the
/// rounding itself.
public struct ActivationRounding: ValueRounding {
  /// Scale and zero point: a value is `(code - zeroPoint) * scale`, with signed codes. The scale of FP4 is the one by which
  /// local scales are divided.
  public struct Parameters: Sendable, Equatable {
    public var scale: Float
    public var zeroPoint: Int

    public init(scale: Float, zeroPoint: Int = 0) {
      self.scale = scale
      self.zeroPoint = zeroPoint
    }
  }

  /// The type of the rounded values, and which of them share a scale.
  public let scheme: ActivationScheme
  /// The stored parameters; nil: they are computed from the values.
  public let stored: Parameters?

  public init(_ scheme: ActivationScheme, stored: Parameters? = nil) {
    self.scheme = scheme
    self.stored = stored
  }

  /// The rounding whose parameters are found from the range of values on calibration text.
  /// - Precondition: the range is finite.
  public init(_ scheme: ActivationScheme, minimum: Float, maximum: Float) {
    self.init(scheme, stored: ActivationRounding.parameters(scheme, minimum, maximum))
  }

  private static func parameters(_ scheme: ActivationScheme, _ minimum: Float, _ maximum: Float) -> Parameters {
    let found = scheme.parameters(minimum: minimum, maximum: maximum, in: .f32)
    return Parameters(scale: found.scale, zeroPoint: found.zeroPoint)
  }

  public func round(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel) {
    let shared = SharedPointer(values)
    var common = stored
    if common == nil, scheme.granularity == .tensor || scheme.element == .fp4 {
      guard VectorKernels.areFinite(values, count: rows * columns) else { return }
      common = parameters(values, rows * columns)
    }
    let parameters = common
    let length = scheme.groupLength ?? columns
    parallel.forEachRange(rows, piece: 16) { rows in
      for row in rows {
        for start in stride(from: 0, to: columns, by: max(1, length)) {
          let group = shared.base + row * columns + start
          let count = min(length, columns - start)
          guard VectorKernels.areFinite(group, count: count) else { continue }
          apply(parameters ?? self.parameters(group, count), to: group, count)
        }
      }
    }
  }

  private func parameters(_ x: UnsafePointer<Float>, _ count: Int) -> Parameters {
    var (low, high): (Float, Float) = (0, 0)
    qc_extremes(x, count, &low, &high)
    return ActivationRounding.parameters(scheme, low, high)
  }

  private func apply(_ parameters: Parameters, to x: UnsafeMutablePointer<Float>, _ count: Int) {
    let scale = parameters.scale
    if scheme.element == .fp4 {
      var (low, high): (Float, Float) = (0, 0)
      qc_extremes(x, count, &low, &high)
      let local = NVFP4Scheme.local(largestMagnitude: max(-low, high), divisor: scale, in: .f32) / scale
      for i in 0..<count { x[i] = scheme.rounded(x[i], scale: local) }
      return
    }
    guard scheme.element == .fp8 else {
      let half = Float(1 << (scheme.element.bits - 1))
      return qc_integer_values(x, count, scale, Float(parameters.zeroPoint), half, Int32(QC_FLOAT), x)
    }
    for i in 0..<count { x[i] = NumberConversion.roundedE4M3(x[i] / scale) * scale }
  }
}

extension NumberConversion {
  /// The nearest FP8 E4M3 value, ties to even, of magnitude at most 448.
  @inline(__always) static func roundedE4M3(_ value: Float) -> Float {
    let magnitude = min(abs(value), 448)
    let bits = magnitude.bitPattern
    // Three bits of mantissa; below 2⁻⁶ values are multiples of 2⁻⁹, and adding 2¹⁴ rounds to those.
    let normal = Float(bitPattern: (bits &+ 0x7ffff &+ (bits >> 20 & 1)) & 0xfff0_0000)
    let subnormal = (magnitude + 0x1p14) - 0x1p14
    return Float(signOf: value, magnitudeOf: magnitude < 0x1p-6 ? subnormal : normal)
  }
}
