extension IntegerScheme {
  /// Multiples of a scale. A scale may become negative if that is what makes the codes fit, because they reach one step further on
  /// one side. An asymmetric group begins at its smallest multiple.
  public func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    guard let search = LatticeSearch(tile, storedIn: type) else { return nil }
    return isSymmetric
      ? search.signedMultiples(bits: bits, scaleType: scaleType).map { [$0] }
      : search.shiftedMultiples(bits: bits, scaleType: scaleType).map { [$0.scale, $0.zero] }
  }
}

extension LatticeSearch {
  /// The scale of symmetric integers, with the sign that makes the codes run from `-2^(b-1)` to `2^(b-1) - 1`; nil if there is none.
  public func signedMultiples(bits: Int, scaleType: ElementType) -> Float? {
    let half = 1 << (bits - 1), held = -half...half - 1
    let found = multiples(upTo: half, lone: hasPositive ? half - 1 : half, scaleType: scaleType) { range in
      held.contains(range.lowerBound) && held.contains(range.upperBound)
        || held.contains(-range.lowerBound) && held.contains(-range.upperBound)
    }
    return found.map { held.contains($0.range.upperBound) && held.contains($0.range.lowerBound) ? $0.scale : -$0.scale }
  }

  /// The scale and zero point of asymmetric integers, whose codes run from 0 to `2^b - 1`; nil if there are none.
  public func shiftedMultiples(bits: Int, scaleType: ElementType) -> (scale: Float, zero: Float)? {
    let top = 1 << bits - 1
    let found = multiples(upTo: top, lone: top, scaleType: scaleType) { $0.upperBound - $0.lowerBound <= top }
    return found.map { ($0.scale, Float(-$0.range.lowerBound)) }
  }
}

extension ScaledFloatScheme {
  /// Products of a scale and short floats, in tiles that are found one by one.
  public func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    guard grid.tileRows != nil, parameterCount == 1, let search = LatticeSearch(tile, storedIn: type) else { return nil }
    // What the rule would make of the largest magnitude is tried first.
    var scale: Float = 0
    fit(largestMagnitude: search.largestMagnitude, into: &scale)
    let ruled = ShortFloats.nearest(search.largestMagnitude / scale, element)
    return search.scale(
      tops: (ruled > 0 ? [ruled] : []) + ShortFloats.tops(element), levels: ShortFloats.levels(element), scaleType: grid.scaleType
    ).map { [$0] }
  }
}

extension ShortFloats {
  /// All values of a short float in ascending order.
  static func levels(_ element: ElementType) -> [Float] {
    switch element {
    case .f4: fourBits
    case .f8e5m2: eightBitsWide
    default: eightBits
    }
  }

  /// The level nearest to a magnitude.
  static func nearest(_ magnitude: Float, _ element: ElementType) -> Float {
    switch element {
    case .f4: NumberConversion.float(e2m1: NumberConversion.e2m1(magnitude))
    case .f8e5m2: NumberConversion.float(e5m2: NumberConversion.e5m2(magnitude))
    default: NumberConversion.float(e4m3: NumberConversion.e4m3(magnitude))
    }
  }

  /// Levels that the largest magnitude may have: all of FP4, and one for each mantissa of FP8, because a smaller scale would only lose
  /// small values.
  static func tops(_ element: ElementType) -> [Float] {
    let positive = Array(levels(element).reversed().prefix { $0 > 0 })
    return element == .f4 ? positive : Array(positive.prefix(element == .f8e5m2 ? 4 : 8))
  }

  private static let fourBits = ascending((0..<16).map { NumberConversion.float(e2m1: $0) })
  private static let eightBits = ascending((0...255).map { NumberConversion.float(e4m3: $0) })
  private static let eightBitsWide = ascending((0...255).map { NumberConversion.float(e5m2: $0) })

  private static func ascending(_ values: [Float]) -> [Float] {
    let sorted = values.filter(\.isFinite).sorted()
    return sorted.indices.filter { $0 == 0 || sorted[$0] != sorted[$0 - 1] }.map { sorted[$0] }
  }
}
