import QuantCore

/// Super-blocks whose sub-blocks have one scale each: a weight is `d * scale[s] * (q - half)`.
///
/// Parameters: `[d, scale 0…]`. Codes: `0 ..< 2 * half`. The weights of a sub-block whose stored scale is zero are lost.
protocol ScaledSubBlocks: GGUFBlockScheme {
  /// What a stored scale can be.
  var scaleRange: ClosedRange<Int> { get }
}

extension ScaledSubBlocks {
  var adjustableParameters: [AdjustableParameter] {
    .integers(scaleRange, from: 1, subBlocks: layout.weights / layout.scaleWeights, length: layout.scaleWeights)
      + .factors(1, stored: .f16)
  }

  /// The code of a weight of zero.
  private var half: Int32 { 1 << Int32(layout.bits - 1) }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let half = half, low = Float(-half), high = Float(half - 1)
    forEachSubBlock(columns, length: layout.scaleWeights) { s, own in
      let scale = parameters[0] * parameters[1 + s]
      if scale == 0 {
        for i in own { codes[i] = half }
        return
      }
      for i in own { codes[i] = nearestInteger(clamp(x[i] / scale, low, high)) + half }
    }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    let half = half
    forEachSubBlock(columns, length: layout.scaleWeights) { s, own in
      let scale = parameters[0] * parameters[1 + s]
      for i in own { destination[i] = scale * Float(codes[i] &- half) }
    }
  }

  /// Rounds a sub-block again under its stored parameters; if its scale is zero, the codes of the search are kept.
  func roundAgain(_ x: UnsafePointer<Float>, _ s: Int, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>) {
    let scale = parameters[0] * parameters[1 + s], own = layout.scaleWeights * s..<layout.scaleWeights * (s + 1)
    if scale == 0 { return }
    for i in own { codes[i] = clamp(nearestInteger(x[i] / scale), -half, half - 1) + half }
  }
}

/// Super-blocks whose sub-blocks have a scale and a minimum each: a weight is `d * scale[s] * q - dmin * min[s]`.
///
/// Parameters: `[d, dmin, scale 0…, min 0…]`. Codes: `0 ... top`.
protocol RangedSubBlocks: GGUFBlockScheme {
  /// What a stored scale or minimum can be.
  var scaleRange: ClosedRange<Int> { get }
}

extension RangedSubBlocks {
  var adjustableParameters: [AdjustableParameter] {
    let count = layout.weights / layout.scaleWeights
    return .integers(scaleRange, from: 2, subBlocks: count, length: layout.scaleWeights)
      + .integers(scaleRange, from: 2 + count, subBlocks: count, length: layout.scaleWeights) + .factors(2, stored: .f16)
  }

  /// The largest code.
  var top: Int32 { (1 << Int32(layout.bits)) - 1 }

  /// The factor of a sub-block's codes, and what is subtracted.
  private func line(_ s: Int, _ parameters: UnsafePointer<Float>) -> (scale: Float, minimum: Float) {
    (parameters[0] * parameters[2 + s], parameters[1] * parameters[2 + layout.weights / layout.scaleWeights + s])
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let high = Float(top)
    forEachSubBlock(columns, length: layout.scaleWeights) { s, own in
      let (scale, minimum) = line(s, parameters)
      if scale == 0 {
        for i in own { codes[i] = 0 }
        return
      }
      for i in own { codes[i] = nearestInteger(clamp((x[i] + minimum) / scale, 0, high)) }
    }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    forEachSubBlock(columns, length: layout.scaleWeights) { s, own in
      let (scale, minimum) = line(s, parameters)
      for i in own { destination[i] = scale * Float(codes[i]) - minimum }
    }
  }

  /// Rounds a sub-block again under its stored parameters; if its scale is zero, the codes of the search are kept.
  func roundAgain(_ x: UnsafePointer<Float>, _ s: Int, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>) {
    let (scale, minimum) = line(s, parameters), own = layout.scaleWeights * s..<layout.scaleWeights * (s + 1)
    if scale == 0 { return }
    for i in own { codes[i] = clamp(nearestInteger((x[i] + minimum) / scale), 0, top) }
  }
}

/// Calls `body` with each sub-block that `columns` overlaps, and the columns inside it.
@inline(__always)
func forEachSubBlock(_ columns: Range<Int>, length: Int, _ body: (Int, Range<Int>) -> Void) {
  var start = columns.lowerBound
  while start < columns.upperBound {
    let s = start / length
    let end = min(columns.upperBound, (s + 1) * length)
    body(s, start..<end)
    start = end
  }
}
