import QuantCore

/// Parameters and codes of a super-block, as `GridBlocks` orders them.
struct GridFit {
  var parameters: [Float]
  var codes: [Int32]
}

/// How llama.cpp rounds to `iq2_xxs` … `iq3_s`, in plain Swift.
///
/// For each sub-block: signs are separated; scales are tried that put the largest magnitude slightly above or below the highest
/// level; under each, every weight gets its nearest level, and points of levels that are not in the grid are replaced by points that
/// are; the scale that explains most is fitted, and points are searched again under it. Scales are then rounded to odd multiples.
struct SignedGridRule {
  /// Which points are searched again under the scale that was found.
  enum Again { case offGrid, allIfAnyOffGrid, always }

  let type: GridType
  /// Weights of a sub-block.
  let length: Int
  /// The number of scales tried below and above.
  var steps = 9
  var step: Float = 0.1
  /// Sub-blocks whose largest magnitude is below this are zero.
  var smallest: Float = 1e-15
  var again = Again.offGrid
  /// Whether the largest magnitude is that under a scale fitted without the grid.
  var fitsFirst = false
  /// How often mean squares count in the weight of errors.
  var spread: Float = 2
  /// Without importance, errors are weighted by x² plus this share of the mean square; nil: as with an importance of one.
  var share: Float?
  /// The factor by which d is multiplied before it is stored.
  var correction: Float = 1
  /// Whether points and signs are stored even if all scales are zero.
  var keepsPoints = false

  init(_ type: GridType) {
    self.type = type
    length = 256 / type.scaleCount
    switch type {
    case .iq2xxs: (steps, again, fitsFirst, spread) = (6, .always, true, 1)
    case .iq2xs: spread = 1
    case .iq2s: (smallest, share, correction, keepsPoints) = (1e-8, 0.25, 0.9875, true)
    case .iq3xxs: (steps, step, smallest, share, correction) = (15, 0.2, 1e-8, 0, 1.0125)
    default:
      (step, smallest, again, share, correction) = (0.2, .leastNonzeroMagnitude, .allIfAnyOffGrid, 0, 1.033)
      keepsPoints = true
    }
  }

  private var top: Int32 { type.pointLength == 8 ? 2 : 7 }

  /// The result for one sub-block.
  private struct SubBlock {
    var scale: Float
    var levels: [Int32]
    var isNegative: [Bool]
  }

  func encode(_ source: [Float], _ importance: [Float]?) -> GridFit {
    let spread = spread * source.reduce(0) { $0 + $1 * $1 } / 256
    let found = (0..<type.scaleCount).map { s in
      let own = length * s..<length * (s + 1)
      let weights = own.map { i in
        let square = source[i] * source[i]
        if importance == nil, let share { return share == 0 ? square : share * spread + square }
        return (importance?[i] ?? 1) * (spread + square).squareRoot()
      }
      return search(Array(source[own]), weights)
    }
    let (d, scales) = OddScales.round(found.map { $0.scale }, top: 15)
    var fit = GridFit(parameters: [HalfFloat(d * correction).value] + scales, codes: [])
    let isStored = keepsPoints || found.contains { $0.scale != 0 }
    for sub in found {
      for i in 0..<length { fit.codes.append(isStored ? 2 * sub.levels[i] + (sub.isNegative[i] ? 1 : 0) : 0) }
    }
    return fit
  }

  private func search(_ source: [Float], _ w: [Float]) -> SubBlock {
    var (x, isNegative) = takeSigns(source, w)
    let none = SubBlock(scale: 0, levels: x.map { _ in 0 }, isNegative: x.map { _ in false })
    let points = GridPoints(type.grid), roots = w.map { $0.squareRoot() }
    var maximum = x.reduce(x[0]) { $0 > $1 ? $0 : $1 }
    guard !(maximum < smallest) else { return none }
    let reach = Float(2 * top + 1)
    var scale = maximum / reach
    if fitsFirst {
      scale = scaleWithoutGrid(x, w, maximum)
      maximum = scale * Float(top + 1)
      guard !(maximum <= 0) else { return none }
    }
    func snap(inverse: Float, scale: Float) -> (levels: [Int32], werePoints: [Bool]) {
      let levels = x.map { clamp(nearestInteger(0.5 * (inverse * $0 - 1)), 0, top) }
      return points.snap(levels, x, roots, scale: scale, number: { _, level in Float(2 * level + 1) })
    }
    var best: Float = 0, kept = none.levels
    var werePoints = [Bool](repeating: again == .offGrid, count: length / type.pointLength)
    for step in -steps...steps {
      let inverse = (reach + Float(step) * self.step) / maximum
      let trial = snap(inverse: inverse, scale: 1 / inverse)
      let (xq, qq) = products(x, w, trial.levels)
      guard qq > 0, xq * xq > best * qq else { continue }
      scale = xq / qq
      best = scale * xq
      (kept, werePoints) = trial
    }
    if scale > 0, again == .always || werePoints.contains(false) {
      let last = snap(inverse: 1 / scale, scale: scale)
      for i in kept.indices where again != .offGrid || !werePoints[i / type.pointLength] { kept[i] = last.levels[i] }
      let (xq, qq) = products(x, w, kept)
      if qq > 0 { scale = xq / qq }
    }
    // There are no codes for negative scales: the signs change instead.
    if scale < 0 { (scale, isNegative) = (-scale, isNegative.map { !$0 }) }
    return SubBlock(scale: scale, levels: kept, isNegative: isNegative)
  }

  /// Magnitudes and signs. If only an even number of minus signs can be stored, the weight whose sign matters least changes its
  /// sign and gets a negative magnitude.
  private func takeSigns(_ source: [Float], _ w: [Float]) -> ([Float], [Bool]) {
    var x = source.map { $0 >= 0 ? $0 : -$0 }, isNegative = source.map { !($0 >= 0) }
    guard type.storedSigns == 7 else { return (x, isNegative) }
    for start in stride(from: 0, to: source.count, by: 8) {
      let own = start..<start + 8
      guard !own.count(where: { isNegative[$0] }).isMultiple(of: 2) else { continue }
      var least = start
      for i in own where w[i] * source[i] * source[i] < w[least] * source[least] * source[least] { least = i }
      x[least].negate()
      isNegative[least].toggle()
    }
    return (x, isNegative)
  }

  private func products(_ x: [Float], _ w: [Float], _ levels: [Int32]) -> (xq: Float, qq: Float) {
    var xq: Float = 0, qq: Float = 0
    for i in x.indices {
      let number = Float(2 * levels[i] + 1)
      xq += w[i] * x[i] * number
      qq += w[i] * number * number
    }
    return (xq, qq)
  }

  /// The scale of the weighted fit `x = scale * code` with codes of at most 4, kept in bytes: negative ones wrap.
  private func scaleWithoutGrid(_ x: [Float], _ w: [Float], _ maximum: Float) -> Float {
    let top: Int32 = 4
    func byte(_ code: Int32) -> Float { Float(UInt8(truncatingIfNeeded: code)) }
    func squaredError(_ inverse: Float, _ code: (Float) -> Float) -> Float {
      let scale = 1 / inverse
      var sum: Float = 0
      for i in x.indices {
        let error = x[i] - scale * code(inverse * x[i])
        sum += w[i] * error * error
      }
      return sum
    }
    var inverse = Float(top) / maximum
    var best = squaredError(inverse) { byte(nearestInteger($0)) }
    for step in -4...4 where step != 0 {
      let trial = (0.1 * Float(step) + Float(top)) / maximum
      let error = squaredError(trial) { Float(min(top, nearestInteger($0))) }
      if error < best { (best, inverse) = (error, trial) }
    }
    var codes: [Float] = [], xl: Float = 0, ll: Float = 0
    for i in x.indices {
      let code = min(top, nearestInteger(inverse * x[i]))
      xl += w[i] * x[i] * Float(code)
      ll += w[i] * Float(code) * Float(code)
      codes.append(byte(code))
    }
    // Change single codes as long as that explains more of x.
    for _ in 0..<5 {
      var changed = false
      for i in x.indices {
        var restXL = xl - w[i] * x[i] * codes[i], restLL = ll - w[i] * codes[i] * codes[i]
        guard restXL > 0, restLL > 0 else { continue }
        let code = min(top, nearestInteger(x[i] * restLL / restXL))
        guard Float(code) != codes[i] else { continue }
        restXL += w[i] * x[i] * Float(code)
        restLL += w[i] * Float(code) * Float(code)
        guard restXL * restXL * ll > xl * xl * restLL else { continue }
        codes[i] = byte(code)
        (xl, ll) = (restXL, restLL)
        changed = true
      }
      if !changed { break }
    }
    return ll > 0 ? xl / ll : 0
  }
}

/// Scales rounded to odd multiples of a unit.
enum OddScales {
  /// d and the codes l of scales `(2 l + 1) d`, the largest of which gets `top`; zeros if no scale is above zero.
  static func round(_ scales: [Float], top: Int32) -> (d: Float, codes: [Float]) {
    let maximum = scales.reduce(Float(0)) { $0 > $1 ? $0 : $1 }
    guard maximum != 0 else { return (0, scales.map { _ in 0 }) }
    let d = maximum / Float(2 * top + 1), inverse = 1 / d
    return (d, scales.map { Float(clamp(nearestInteger(0.5 * (inverse * $0 - 1)), 0, top)) })
  }
}
