import CBlocks
import QuantCore

/// `iq1_s` to `iq3_s`: 256 weights, every 8 or 4 of which have a point of a grid as their levels.
///
/// Parameters: `[d, scale…, shift…]`; scales are the integers of the file, and a shift is 1 if its point (`iq1_m`) or 32 weights
/// (`iq1_s`) are shifted down. Codes: twice the level, plus 1 for a minus sign; in types without signs, the level.
struct GridBlocks: GGUFBlockScheme {
  let layout: BlockType
  let type: GridType
  private let scaleCount: Int

  init(_ type: GridType) {
    self.type = type
    layout = type.block
    scaleCount = type.scaleCount
  }

  /// Signs are shared by 8 weights, so two points of 4 belong together.
  var jointColumns: Int { 8 }

  var adjustableParameters: [AdjustableParameter] {
    .integers(0...(1 << type.scale(0).width) - 1, from: 1, subBlocks: scaleCount, length: layout.scaleWeights)
      + .factors(1, stored: .f16)
  }

  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>
  ) {
    let source = Array(UnsafeBufferPointer(start: x, count: layout.weights))
    let importance = weighting.map { Array(UnsafeBufferPointer(start: $0.importance, count: layout.weights)) }
    let fit = type.isTernary ? TernaryGridRule(type).encode(source, importance) : SignedGridRule(type).encode(source, importance)
    for (index, value) in fit.parameters.enumerated() { parameters[index] = value }
    for (index, code) in fit.codes.enumerated() { codes[index] = code }
  }

  /// The points nearest to whole runs of 8 weights under stored parameters. If the number of minus signs must be even and is odd,
  /// the smallest weight changes its sign.
  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>
  ) {
    let points = GridPoints(type.grid), length = type.pointLength
    for start in stride(from: columns.lowerBound, to: columns.upperBound, by: jointColumns) {
      let stretch = start..<min(start + jointColumns, columns.upperBound)
      var values = (0..<layout.weights).map { stretch.contains($0) ? x[$0] : 0 }
      var isNegative = [Bool](repeating: false, count: layout.weights)
      if !type.isTernary {
        for i in stretch {
          isNegative[i] = (x[i] < 0) != (factor(i, parameters) < 0)
          values[i] = values[i].magnitude
        }
        let minusSigns = stretch.count { isNegative[$0] }
        if type.storedSigns == 7, !minusSigns.isMultiple(of: 2), let least = stretch.min(by: { values[$0] < values[$1] }) {
          isNegative[least].toggle()
          values[least].negate()
        }
      }
      for first in stride(from: stretch.lowerBound, to: stretch.upperBound, by: length) {
        let own = first..<min(first + length, stretch.upperBound)
        func error(_ index: Int) -> Float {
          own.reduce(Float(0)) { sum, i in
            let factor = factor(i, parameters), number = type.levels[Int(points.level(i - first, of: index))] + shift(i, parameters)
            let error = (type.isTernary ? factor : factor.magnitude) * number - values[i]
            return sum + error * error
          }
        }
        var best = 0, smallest = error(0)
        for index in 1..<points.count {
          let own = error(index)
          if own < smallest { (best, smallest) = (index, own) }
        }
        for i in own { codes[i] = code(level: points.level(i - first, of: best), isNegative: isNegative[i]) }
      }
    }
  }

  func nearest(_ panel: Panel, columns: Range<Int>, metric: [Float], into result: inout QuantizedPanel) {
    let joint = jointColumns, rows = panel.rows, block = columns.lowerBound / layout.weights
    guard columns.count == joint, columns.lowerBound.isMultiple(of: joint), metric.count == joint * joint, rows > 0 else {
      return nearest(panel, columns: columns, into: &result)
    }
    let first = columns.lowerBound - block * layout.weights
    let perRow = joint / type.pointLength
    var divided = [Float](repeating: 0, count: rows * joint)
    result.parameters.withUnsafeBufferPointer { parameters in
      guard let base = parameters.baseAddress else { return }
      for row in 0..<rows {
        let own = base + result.parameterIndex(row: row, group: block), factor = factor(first, own), shift = shift(first, own)
        guard factor != 0 else { continue }
        for i in 0..<joint { divided[row * joint + i] = panel.row(row)[columns.lowerBound + i] / factor - shift }
      }
    }
    var indices = [UInt16](repeating: 0, count: rows * perRow), signs = [UInt8](repeating: 0, count: rows)
    type.coordinates.withUnsafeBufferPointer { coordinates in
      guard let base = coordinates.baseAddress else { return }
      let count = coordinates.count / type.pointLength
      var rule = qc_point_rule(
        points: base, length: Int32(type.pointLength), count: Int32(count), signs: type.isTernary ? 0 : Int32(type.storedSigns))
      withUnsafeTemporaryAllocation(of: Float.self, capacity: perRow * count) { scratch in
        guard let scratch = scratch.baseAddress else { return }
        qc_point_searcher_at(qc_cpu_level())(&rule, divided, Int64(rows), metric, scratch, &indices, &signs)
      }
    }
    let points = GridPoints(type.grid)
    for row in 0..<rows {
      for i in 0..<joint {
        let index = Int(indices[row * perRow + i / type.pointLength])
        result.codes[row * result.columns + columns.lowerBound + i] = code(
          level: points.level(i % type.pointLength, of: index), isNegative: signs[row] >> i & 1 == 1)
      }
    }
  }

  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>
  ) {
    let levels = type.levels
    forEachSubBlock(columns, length: 8) { stretch, own in
      let factor = factor(8 * stretch, parameters), shift = shift(8 * stretch, parameters)
      for i in own {
        let number = levels[Int(clamp(level(codes[i]), 0, Int32(levels.count - 1)))]
        if type.isTernary {
          destination[i] = factor * (number + shift)
        } else {
          destination[i] = factor * number * (codes[i] & 1 == 1 ? -1 : 1)
        }
      }
    }
  }

  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>) {
    bytes.update(repeating: 0, count: layout.bytes)
    var d = Int(HalfFloat(parameters[0]).bits)
    for run in type.d {
      run.write(d & (1 << run.width - 1), bytes)
      d >>= run.width
    }
    for s in 0..<scaleCount {
      let run = type.scale(s)
      run.write(Int(clamp(parameters[1 + s], 0, Float(1 << run.width - 1))), bytes)
    }
    for s in 0..<type.shiftCount { type.shift(s).write(parameters[1 + scaleCount + s] == 1 ? 1 : 0, bytes) }
    let points = GridPoints(type.grid), length = type.pointLength
    for p in 0..<layout.weights / length {
      let levels = (0..<length).map { level(codes[length * p + $0]) }
      // Codes that are not a point cannot come from this scheme: they become the nearest point.
      let index = points.nearestIndex(levels[...])
      let (low, high) = type.index(p)
      low.write(index & (1 << low.width - 1), bytes)
      high?.write(index >> low.width, bytes)
    }
    for s in 0..<layout.weights / 8 {
      guard let run = type.signs(s) else { break }
      let signs = (0..<8).reduce(0) { $0 | Int(codes[8 * s + $1] & 1) << $1 }
      run.write(signs & (1 << run.width - 1), bytes)
    }
  }

  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>
  ) {
    var d = 0, place = 0
    for run in type.d {
      d |= run.read(bytes) << place
      place += run.width
    }
    parameters[0] = HalfFloat(bits: UInt16(truncatingIfNeeded: d)).value
    for s in 0..<scaleCount { parameters[1 + s] = Float(type.scale(s).read(bytes)) }
    for s in 0..<type.shiftCount { parameters[1 + scaleCount + s] = Float(type.shift(s).read(bytes)) }
    let points = GridPoints(type.grid), length = type.pointLength
    for p in 0..<layout.weights / length {
      let (low, high) = type.index(p)
      let index = low.read(bytes) | (high?.read(bytes) ?? 0) << low.width
      for i in 0..<length { codes[length * p + i] = code(level: points.level(i, of: index), isNegative: false) }
    }
    for s in 0..<layout.weights / 8 {
      guard let run = type.signs(s) else { break }
      var signs = run.read(bytes)
      if run.width == 7 { signs |= (signs.nonzeroBitCount & 1) << 7 }
      for i in 0..<8 { codes[8 * s + i] |= Int32(signs >> i & 1) }
    }
  }

  private func code(level: Int32, isNegative: Bool) -> Int32 { type.isTernary ? level : 2 * level + (isNegative ? 1 : 0) }

  private func level(_ code: Int32) -> Int32 { type.isTernary ? code : code >> 1 }

  /// The factor of a weight's level.
  private func factor(_ column: Int, _ parameters: UnsafePointer<Float>) -> Float {
    type.factor(d: parameters[0], scale: parameters[1 + column / layout.scaleWeights])
  }

  /// The shift that is added to a weight's level.
  private func shift(_ column: Int, _ parameters: UnsafePointer<Float>) -> Float {
    guard type.isTernary else { return 0 }
    return parameters[1 + scaleCount + column * type.shiftCount / layout.weights] == 1 ? -TernaryGridRule.shift : TernaryGridRule.shift
  }
}
