import QuantCore

/// How llama.cpp rounds to `iq1_s` and `iq1_m`, in plain Swift.
///
/// The sorted weights are cut twice; those below, between and above the cuts become -1, 0 and 1, shifted by an eighth. Every pair of
/// cuts is tried under every shift; for the best one, levels that are not a point of the grid are replaced by one.
struct TernaryGridRule {
  static let shift: Float = 0.125

  let type: GridType
  /// Weights of a sub-block.
  private let length: Int
  /// Sub-blocks whose largest magnitude is below this are zero.
  private let smallest: Float

  init(_ type: GridType) {
    self.type = type
    length = 256 / type.scaleCount
    smallest = type == .iq1s ? 1e-12 : 1e-7
  }

  /// Weights that share a shift.
  private var shiftLength: Int { 256 / type.shiftCount }
  private var shiftsPerScale: Int { type.shiftCount / type.scaleCount }

  private struct SubBlock {
    var scale: Float
    var levels: [Int32]
    /// For each shift, whether it is downwards.
    var isDown: [Bool]
  }

  func encode(_ source: [Float], _ importance: [Float]?) -> GridFit {
    let spread = 2 * source.reduce(0) { $0 + $1 * $1 } / 256
    let weights = source.indices.map { i in
      let square = source[i] * source[i]
      return importance == nil && type == .iq1m ? square : (importance?[i] ?? 1) * (spread + square).squareRoot()
    }
    let found = (0..<type.scaleCount).map { s in
      let own = length * s..<length * (s + 1)
      return search(Array(source[own]), Array(weights[own]))
    }
    var (d, scales) = OddScales.round(found.map { $0.scale }, top: 7)
    let hasScale = found.contains { $0.scale != 0 }
    var shifts: [Float] = [], codes: [Int32] = []
    for sub in found {
      shifts += sub.isDown.map { hasScale && $0 ? 1 : 0 }
      codes += sub.levels
    }
    if type == .iq1m {
      if hasScale { d = fittedScale(source, weights, codes, scales, shifts) ?? d }
      d *= 1.1125
    } else {
      d *= 1.125
    }
    return GridFit(parameters: [HalfFloat(d).value] + scales + shifts, codes: codes)
  }

  /// The d that fits all weights of the super-block best; nil if no weight counts.
  private func fittedScale(_ x: [Float], _ w: [Float], _ codes: [Int32], _ scales: [Float], _ shifts: [Float]) -> Float? {
    var xq: Float = 0, qq: Float = 0
    for i in x.indices {
      let shift = shifts[i / shiftLength] == 1 ? -Self.shift : Self.shift
      let number = (Float(codes[i] - 1) + shift) * (2 * scales[i / length] + 1)
      xq += w[i] * number * x[i]
      qq += w[i] * number * number
    }
    return qq > 0 ? xq / qq : nil
  }

  private func search(_ x: [Float], _ w: [Float]) -> SubBlock {
    let points = GridPoints(type.grid)
    // Stored as the first point of the grid.
    let none = SubBlock(
      scale: 0, levels: x.indices.map { points.level($0 % 8, of: 0) }, isDown: [Bool](repeating: false, count: shiftsPerScale))
    let maximum = x.reduce(x[0].magnitude) { $0 > $1.magnitude ? $0 : $1.magnitude }
    guard !(maximum < smallest) else { return none }
    // Equal weights keep their order.
    let order = x.indices.sorted { x[$0] != x[$1] ? x[$0] < x[$1] : $0 < $1 }
    guard let cuts = type == .iq1s ? cutWithOneShift(x, w, order) : cutWithTwoShifts(x, w, order) else { return none }
    var scale = cuts.scale, isDown = cuts.isDown
    var levels = [Int32](repeating: 0, count: length)
    for (place, i) in order.enumerated() { levels[i] = place < cuts.first ? 0 : place < cuts.second ? 1 : 2 }
    if scale < 0 {
      scale.negate()
      levels = levels.map { 2 - $0 }
      isDown = isDown.map { !$0 }
    }
    func number(_ i: Int, _ level: Int32) -> Float { Float(level - 1) + (isDown[i / shiftLength] ? -Self.shift : Self.shift) }
    let snapped = points.snap(levels, x, w, scale: scale, number: number)
    if snapped.werePoints.contains(false) {
      var xq: Float = 0, qq: Float = 0
      for i in x.indices {
        xq += w[i] * number(i, snapped.levels[i]) * x[i]
        qq += w[i] * number(i, snapped.levels[i]) * number(i, snapped.levels[i])
      }
      if xq > 0, qq > 0 { scale = xq / qq }
    }
    return SubBlock(scale: scale, levels: snapped.levels, isDown: isDown)
  }

  // MARK: - Cuts

  /// Two cuts in ascending order, with the scale that fits best.
  private struct Cuts {
    var first: Int
    var second: Int
    var isDown: [Bool]
    var scale: Float
    /// How much of the weights is explained.
    var score: Float

    /// The cuts with these sums, if they are better than `other`.
    init?(_ first: Int, _ second: Int, _ isDown: [Bool], xq: Float, qq: Float, than other: Cuts?) {
      guard qq > 0, xq * xq > (other?.score ?? -.greatestFiniteMagnitude) * qq else { return nil }
      scale = xq / qq
      score = scale * xq
      (self.first, self.second, self.isDown) = (first, second, isDown)
    }
  }

  /// Sums over the first 0, 1, … weights of an order, counting only those in `part`.
  private func sums(_ values: [Float], _ order: [Int], part: Range<Int>) -> [Float] {
    order.reduce(into: [0]) { sums, i in sums.append((sums.last ?? 0) + (part.contains(i) ? values[i] : 0)) }
  }

  private func cutWithOneShift(_ x: [Float], _ w: [Float], _ order: [Int]) -> Cuts? {
    let sx = sums(zip(w, x).map { $0 * $1 }, order, part: 0..<length), sw = sums(w, order, part: 0..<length)
    var best: Cuts?
    for first in 0...length {
      for second in first...length {
        for isDown in [false, true] {
          let shift = isDown ? -Self.shift : Self.shift
          let (low, high) = (-1 + shift, 1 + shift)
          let xq = sx[first] * low + (sx[second] - sx[first]) * shift + (sx[length] - sx[second]) * high
          let lowSquare = sw[first] * low * low, highSquare = (sw[length] - sw[second]) * high * high
          let qq = lowSquare + (sw[second] - sw[first]) * shift * shift + highSquare
          best = Cuts(first, second, [isDown], xq: xq, qq: qq, than: best) ?? best
        }
      }
    }
    return best
  }

  private func cutWithTwoShifts(_ x: [Float], _ w: [Float], _ order: [Int]) -> Cuts? {
    let wx = zip(w, x).map { $0 * $1 }, halves = [0..<8, 8..<16]
    let sx = halves.map { sums(wx, order, part: $0) }, sw = halves.map { sums(w, order, part: $0) }
    var best: Cuts?
    for first in 0...length {
      for second in first...length {
        // For one half with a shift; the distance between levels is one, whatever the shift.
        func xq(_ half: Int, _ shift: Float) -> Float { sx[half][length] * (1 + shift) - (sx[half][first] + sx[half][second]) }
        func qq(_ half: Int, _ shift: Float) -> Float {
          let (low, high) = (-1 + shift, 1 + shift), own = sw[half]
          return own[length] * high * high + own[first] * (low * low - shift * shift) + own[second] * (shift * shift - high * high)
        }
        for isDown in [[false, false], [false, true], [true, false], [true, true]] {
          let a = isDown[0] ? -Self.shift : Self.shift, b = isDown[1] ? -Self.shift : Self.shift
          best = Cuts(first, second, isDown, xq: xq(0, a) + xq(1, b), qq: qq(0, a) + qq(1, b), than: best) ?? best
        }
      }
    }
    return best
  }
}
