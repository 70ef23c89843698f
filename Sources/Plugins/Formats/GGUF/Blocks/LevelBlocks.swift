import QuantCore

/// `iq4_nl`: 32 weights `d * level[q]`, with 16 unevenly spaced levels.
///
/// Parameters: `[d]`, of either sign. Codes: 0...15, computed with the scale of the search before it is rounded to 16 bits.
struct LevelBlocks: GGUFBlockScheme {
  let layout: BlockType
  var adjustableParameters: [AdjustableParameter] { .factors(1, stored: .f16) }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    let spread = sumOfSquares(x, 32) * (2 / 32)
    let weights = weighting?.weights(x, columns: 0..<32, spread: spread) ?? (0..<32).map { x[$0] * x[$0] }
    let scale = ScaleSearch.levels(x, weights: weights)
    parameters[0] = HalfFloat(scale).value
    let inverse = scale != 0 ? 1 / scale : 0
    for i in 0..<32 { codes[i] = UnevenLevels.nearest(inverse * x[i]) }
  }

  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    guard let search = LatticeSearch(tile, storedIn: type) else { return nil }
    let levels = UnevenLevels.values.map { Float($0) }, tops = [levels[0].magnitude, levels[15]]
    if let scale = search.scale(tops: tops, levels: levels, scaleType: .f16) { return [scale] }
    return search.scale(tops: tops, levels: levels.reversed().map { -$0 }, scaleType: .f16).map { [-$0] }
  }

  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let d = parameters[0]
    for i in columns { codes[i] = UnevenLevels.nearest(d == 0 ? 0 : x[i] / d) }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    for i in columns { destination[i] = parameters[0] * UnevenLevels.values[Int(codes[i] & 15)] }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    HalfFloat(parameters[0]).store(bytes)
    SimpleCodes.pack(codes, bits: 4, into: bytes + 2)
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    parameters[0] = HalfFloat(bytes).value
    SimpleCodes.unpack(bytes + 2, bits: 4, into: codes)
  }
}

/// The 16 levels of `iq4_nl` and `iq4_xs`, denser near zero.
enum UnevenLevels {
  static let values: [Float] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

  /// The midpoints between neighbouring levels.
  private static let borders = zip(values, values.dropFirst()).map { ($0 + $1) / 2 }

  /// Index of the level nearest to `x`; the upper one of two equally near, and the last one for NaN.
  static func nearest(_ x: Float) -> Int32 {
    var index: Int32 = 15
    for border in borders where x < border { index -= 1 }
    return index
  }
}
