/// Finds the scale under which weights are values of a grid already, up to rounding to the type that they are stored in.
///
/// Weights that were quantized once, and stored as floats since, are such lattices: dequantized folders, models trained with rounded
/// weights. The rule of a scheme would often find other parameters (its range is that of the largest weight, not of the largest code),
/// and round them again.
///
/// For a guess of what the largest weight's code means, each weight narrows the interval in which the scale must lie: a product with the
/// scale must round to it. Ordinary weights make the interval empty within the first few.
public struct LatticeSearch {
  private let weights: UnsafeBufferPointer<Float>
  private let type: ElementType
  /// The weight of largest magnitude.
  private let largest: Float
  /// Whether a weight is above 0.
  let hasPositive: Bool
  /// Whether all weights that are not 0 have one magnitude, which says nothing of the step between levels.
  private let isLone: Bool
  /// How often weights are looked at, at most, to narrow the interval.
  private static let passes = 3

  /// The magnitude of the largest weight.
  public var largestMagnitude: Float { largest.magnitude }

  /// Where a scale may lie.
  private struct Interval {
    var low: Double
    var high: Double
    var middle: Double { (low + high) / 2 }
  }

  /// Nil for weights that are all 0 or not finite, or stored in a type other than `f32`, `f16` and `bf16`.
  public init?(_ weights: UnsafeBufferPointer<Float>, storedIn type: ElementType) {
    guard type == .f32 || type == .f16 || type == .bf16 else { return nil }
    var largest: Float = 0, smallest = Float.infinity
    for weight in weights {
      guard weight.isFinite else { return nil }
      if weight == 0 { continue }
      if weight.magnitude > largest.magnitude { largest = weight }
      smallest = min(smallest, weight.magnitude)
    }
    guard largest != 0 else { return nil }
    self.weights = weights
    self.type = type
    self.largest = largest
    hasPositive = weights.contains { $0 > 0 }
    isLone = smallest == largest.magnitude
  }

  /// The scale of which every weight is a multiple, the largest one if there are several, and the range of the multiples, 0 included.
  ///
  /// If all weights have one magnitude, any of its fractions could be the scale; the weight then gets the multiple that rules give to
  /// the largest weight of a group.
  /// - Parameters:
  ///   - top: the largest multiple that may occur.
  ///   - lone: the multiple of the largest weight if all have its magnitude.
  ///   - scaleType: what the scale will be stored in. A scale that it holds is preferred; if there is none, the scale is rounded to it.
  ///   - isHeld: whether a grid holds multiples in this range.
  public func multiples(
    upTo top: Int, lone: Int, scaleType: ElementType, isHeld: (ClosedRange<Int>) -> Bool
  ) -> (scale: Float, range: ClosedRange<Int>)? {
    // Rules use the largest code, so the search begins there; a factor that all multiples share is taken out.
    for multiple in isLone ? stride(from: lone, through: lone, by: -1) : stride(from: max(1, top), through: 1, by: -1) {
      guard var interval = interval(Double(multiple), of: WholeNumbers()) else { continue }
      var (range, factor) = multiples(of: interval.middle)
      if factor > 1, !isLone, let coarser = self.interval(Double(multiple / factor), of: WholeNumbers()) {
        interval = coarser
        (range, factor) = multiples(of: interval.middle)
      }
      if isHeld(range), let scale = stored(interval, of: WholeNumbers(), as: scaleType) { return (scale, range) }
    }
    return nil
  }

  /// The range of the multiples of a scale, and the largest number that divides all of them.
  private func multiples(of scale: Double) -> (range: ClosedRange<Int>, factor: Int) {
    var low = 0, high = 0, factor = 0
    for weight in weights where weight != 0 {
      let multiple = Int((Double(weight) / scale).rounded())
      low = min(low, multiple)
      high = max(high, multiple)
      var other = abs(multiple)
      while factor != 1, other != 0 { (factor, other) = (other, factor % other) }
    }
    return (low...high, factor)
  }

  /// The scale of which every weight is a product with one of some levels.
  /// - Parameters:
  ///   - tops: levels above 0 that the largest magnitude may have, the most likely first.
  ///   - levels: all levels in ascending order.
  ///   - scaleType: as above; of `f8e8m0`, only powers of two that fit exactly.
  public func scale(tops: [Float], levels: [Float], scaleType: ElementType) -> Float? {
    levels.withUnsafeBufferPointer { levels in
      for top in tops {
        let levels = SortedLevels(levels: levels)
        if let interval = interval(Double(top), of: levels), let scale = stored(interval, of: levels, as: scaleType) { return scale }
      }
      return nil
    }
  }

  /// Where the scale must lie if the largest magnitude is that of a level; nil if no scale fits all weights.
  private func interval(_ top: Double, of levels: some LatticeLevels) -> Interval? {
    let (magnitude, slack) = (Double(largest.magnitude), halfStep(largest))
    var found = Interval(low: (magnitude - slack) / top, high: (magnitude + slack) / top)
    // Weights that could have several levels wait until the others have narrowed the interval.
    for _ in 0..<LatticeSearch.passes {
      var isOpen = false
      for weight in weights where weight != 0 {
        let magnitude = Double(weight.magnitude), slack = halfStep(weight)
        let (low, high) = ((magnitude - slack) / found.high, (magnitude + slack) / found.low)
        guard let (level, isOnly) = weight < 0 ? levels.level(in: -high, -low) : levels.level(in: low, high), level != 0 else { return nil }
        guard isOnly else {
          isOpen = true
          continue
        }
        found.low = max(found.low, (magnitude - slack) / level.magnitude)
        found.high = min(found.high, (magnitude + slack) / level.magnitude)
        guard found.low <= found.high else { return nil }
      }
      if !isOpen { break }
    }
    return found
  }

  /// Half the distance from a weight to its neighbour in the type.
  private func halfStep(_ weight: Float) -> Double {
    let (bits, lowest) = type == .f32 ? (24, -126) : type == .f16 ? (11, -14) : (8, -126)
    return Double(sign: .plus, exponent: max(Int(weight.exponent), lowest) - bits, significand: 1)
  }

  /// The scale as it is stored: the one with the fewest digits of those that fit, else the nearest one.
  private func stored(_ interval: Interval, of levels: some LatticeLevels, as scaleType: ElementType) -> Float? {
    let middle = Float(interval.middle)
    // At the ends of the interval, products lie halfway between two values of the type, and need not round to the weights.
    func fits(_ scale: Float) -> Bool {
      (interval.low...interval.high).contains(Double(scale))
        && weights.allSatisfy { weight in
          NumberConversion.rounded(Float(levels.nearest(to: Double(weight) / interval.middle)) * scale, to: type) == weight
        }
    }
    switch scaleType {
    case .f32, .f16, .bf16:
      let candidates = [ElementType.bf16, .f16, scaleType].map { NumberConversion.rounded(middle, to: $0) }
      let scale = candidates.first { fits($0) && NumberConversion.rounded($0, to: scaleType) == $0 } ?? candidates[2]
      return scale.isFinite && scale > 0 ? scale : nil
    case .f8e8m0:
      let power = Float(sign: .plus, exponent: Int(interval.high.exponent), significand: 1)
      return fits(power) ? power : nil
    default: return nil
    }
  }
}

/// The levels that codes stand for before scaling.
private protocol LatticeLevels {
  /// A level within two bounds, and whether it is the only one; nil if there is none.
  func level(in low: Double, _ high: Double) -> (level: Double, isOnly: Bool)?
  func nearest(to value: Double) -> Double
}

private struct WholeNumbers: LatticeLevels {
  @inline(__always) func nearest(to value: Double) -> Double { value.rounded() }

  @inline(__always) func level(in low: Double, _ high: Double) -> (level: Double, isOnly: Bool)? {
    let first = low.rounded(.up), last = high.rounded(.down)
    return first > last ? nil : (first, first == last)
  }
}

private struct SortedLevels: LatticeLevels {
  /// In ascending order.
  let levels: UnsafeBufferPointer<Float>

  func nearest(to value: Double) -> Double {
    let above = first(from: value)
    guard above < levels.count else { return Double(levels[levels.count - 1]) }
    let upper = Double(levels[above]), lower = Double(levels[max(0, above - 1)])
    return value - lower < upper - value ? lower : upper
  }

  /// Number of the first level that is not below a value.
  private func first(from value: Double) -> Int {
    var first = 0, end = levels.count
    while first < end {
      let middle = (first + end) / 2
      if Double(levels[middle]) < value { first = middle + 1 } else { end = middle }
    }
    return first
  }

  func level(in low: Double, _ high: Double) -> (level: Double, isOnly: Bool)? {
    let first = first(from: low)
    guard first < levels.count, Double(levels[first]) <= high else { return nil }
    return (Double(levels[first]), first + 1 == levels.count || Double(levels[first + 1]) > high)
  }
}
