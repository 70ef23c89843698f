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
  public func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    latticeParameters(of: tile, storedIn: type, scaleType: grid.scaleType)
  }

  /// Products of a scale and short floats, in tiles that are found one by one.
  /// - Parameter scaleType: a type whose values a scale may have.
  func latticeParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType, scaleType: ElementType) -> [Float]? {
    guard grid.tileRows != nil, parameterCount == 1, let search = LatticeSearch(tile, storedIn: type) else { return nil }
    // What the rule would make of the largest magnitude is tried first.
    var scale: Float = 0
    fit(largestMagnitude: search.largestMagnitude, into: &scale)
    let ruled = element.nearest(search.largestMagnitude / scale)
    return search.scale(tops: (ruled > 0 ? [ruled] : []) + element.tops, levels: element.levels, scaleType: scaleType).map { [$0] }
  }
}
