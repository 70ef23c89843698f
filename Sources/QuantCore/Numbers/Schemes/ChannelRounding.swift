/// Rounds activations with stored parameters for each channel, by the rule of `ActivationRounding`.
public struct ChannelRounding: ValueRounding {
  /// The type of the rounded values.
  public let scheme: ActivationScheme
  /// The parameters of each channel.
  public let stored: [ActivationRounding.Parameters]

  /// The rounding whose parameters are found from the range of each channel on calibration text.
  /// - Precondition: the ranges are finite.
  public init(_ scheme: ActivationScheme, ranges: [(minimum: Float, maximum: Float)]) {
    self.scheme = scheme
    stored = ranges.map { range in
      let found = scheme.parameters(minimum: range.minimum, maximum: range.maximum, in: .f32)
      return ActivationRounding.Parameters(scale: found.scale, zeroPoint: found.zeroPoint)
    }
  }

  public func round(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel) {
    let shared = SharedPointer(values)
    parallel.forEachRange(rows, piece: 16) { rows in
      for row in rows {
        let token = shared.base + row * columns
        for (c, own) in zip(0..<columns, stored) where token[c].isFinite {
          token[c] = scheme.rounded(token[c], scale: own.scale, zeroPoint: own.zeroPoint)
        }
      }
    }
  }
}
