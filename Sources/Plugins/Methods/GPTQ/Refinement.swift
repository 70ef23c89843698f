import QuantCore

/// Lowers the error of rows that are rounded already: `Σ d·H·dᵀ` over their rows, where d is what is left of a row's weights and H the
/// damped Gram matrix. One parameter and one run of codes after the other move to what is best with all others as they are, and only
/// where the error falls, so no row gets worse.
///
/// With `g = d·H`, moving the values of some columns by δ changes the error by `δ·H·δᵀ + 2·g·δᵀ`. Columns are held one after the
/// other with all rows, as in `FeedbackPass`. `g` is kept for a segment of columns at a time, and for the others in one product
/// after the segment.
struct Refinement {
  private let scheme: any Scheme
  private let gram: DampedGram
  private let rows: Int
  private let columns: Int
  private let tileLength: Int
  private let joint: Int
  private let valueType: ElementType?
  /// `[columns, rows]`: the weights that the values should be near.
  private let weights: FloatStorage
  /// `[columns, rows]`: d, values less weights.
  private let errors: FloatStorage
  /// `[columns, rows]`: g.
  private let gradient: FloatStorage
  /// `[rows, tileLength]`: values or targets of a tile.
  private let tileValues: FloatStorage

  private static let segmentLength = 256

  /// - Parameters:
  ///   - panel: the weights that were rounded.
  ///   - valueType: the float type to which clients round values, or nil.
  ///   - tiles: one panel per tile of the row.
  init(scheme: any Scheme, gram: DampedGram, panel: Panel, valueType: ElementType?, tiles: [QuantizedPanel]) {
    self.scheme = scheme
    self.gram = gram
    self.valueType = valueType
    rows = panel.rows
    columns = gram.size
    tileLength = scheme.groupLength(columns: gram.size)
    weights = FloatStorage(count: gram.size * panel.rows)
    for row in 0..<rows {
      for c in 0..<columns { weights.base[c * rows + row] = panel.row(row)[c] }
    }
    joint = scheme.jointColumns
    errors = FloatStorage(count: gram.size * rows)
    gradient = FloatStorage(count: gram.size * rows)
    tileValues = FloatStorage(count: rows * tileLength)
    for (tile, panel) in tiles.enumerated() {
      let first = tile * tileLength
      let width = min(tileLength, columns - first)
      readValues(of: panel, columns: 0..<width)
      for c in 0..<width {
        let place = (first + c) * rows
        for row in 0..<rows { errors.base[place + row] = tileValues.base[row * tileLength + c] - weights.base[place + row] }
      }
    }
    gram.addProduct(of: 0..<columns, errors.base, rows: rows, into: 0..<columns, gradient.base)
  }

  /// Improves parameters and codes of all tiles once.
  mutating func improve(_ tiles: inout [QuantizedPanel]) {
    let parameters = scheme.adjustableParameters
    let isLong = tileLength > Refinement.segmentLength
    if isLong {
      for tile in tiles.indices { adjust(parameters, of: tile, in: 0..<columns, &tiles) }
    }
    let length = isLong ? Refinement.segmentLength : Refinement.segmentLength / tileLength * tileLength
    let before = FloatStorage(count: length * rows)
    for first in stride(from: 0, to: columns, by: length) {
      let segment = first..<min(columns, first + length), size = segment.count * rows
      before.base.update(from: errors.base + first * rows, count: size)
      if !isLong {
        for tile in first / tileLength...(segment.upperBound - 1) / tileLength { adjust(parameters, of: tile, in: segment, &tiles) }
      }
      for run in gram.runsByPower(in: segment, length: joint) { chooseCodes(of: run, in: segment, &tiles) }
      for i in 0..<size { before.base[i] = errors.base[first * rows + i] - before.base[i] }
      gram.addProduct(of: segment, before.base, rows: rows, into: 0..<first, gradient.base)
      gram.addProduct(of: segment, before.base, rows: rows, into: segment.upperBound..<columns, gradient.base + segment.upperBound * rows)
    }
  }

  /// Multiplies the parameters that scale a row so that its outputs are as large as those of its weights: `⟨w, w⟩ = ⟨w, ŵ⟩` under the
  /// Gram matrix. Least squares under noise gives outputs that are too small on average, and later layers see all of that.
  func rescale(_ tiles: inout [QuantizedPanel]) {
    let factors = scheme.adjustableParameters.filter(\.isFactor)
    if factors.isEmpty { return }
    let products = FloatStorage(count: columns * rows)
    gram.addProduct(of: 0..<columns, weights.base, rows: rows, into: 0..<columns, products.base)
    for row in 0..<rows {
      var own = 0.0, other = 0.0
      for c in 0..<columns {
        let weight = Double(weights.base[c * rows + row])
        own += weight * Double(products.base[c * rows + row])
        other += weight * Double(gradient.base[c * rows + row])
      }
      guard own > 0, own + other > 0 else { continue }
      let factor = Float(min(max(own / (own + other), 0.8), 1.25))
      for tile in tiles.indices {
        let first = tiles[tile].parameterIndex(row: row, group: 0)
        let scaled = factors.map { $0.stored(tiles[tile].parameters[first + $0.index] * factor) }
        // All of a tile's factors or none: a scale without its minimum would shift the values.
        guard scaled.allSatisfy({ $0 != nil }) else { continue }
        for (parameter, value) in zip(factors, scaled) {
          if let value { tiles[tile].parameters[first + parameter.index] = value }
        }
      }
    }
  }

  /// Moves parameters of a tile to what is best under its codes, one after the other.
  private func adjust(_ parameters: [AdjustableParameter], of tile: Int, in segment: Range<Int>, _ tiles: inout [QuantizedPanel]) {
    guard !parameters.isEmpty else { return }
    let first = tile * tileLength
    let width = min(tileLength, columns - first)
    let slope = FloatStorage(count: width * rows), product = FloatStorage(count: segment.count * rows)
    let steps = FloatStorage(count: rows)
    for parameter in parameters {
      let own = (parameter.columns ?? 0..<width).clamped(to: 0..<width)
      if own.isEmpty { continue }
      readSlope(of: parameter, tiles[tile], columns: own, into: slope.base)
      let global = first + own.lowerBound..<first + own.upperBound
      product.base.update(repeating: 0, count: segment.count * rows)
      gram.addProduct(of: global, slope.base, rows: rows, into: segment, product.base)
      var moves = false
      for row in 0..<rows {
        var linear = 0.0, square = 0.0
        for c in 0..<own.count {
          let b = Double(slope.base[c * rows + row])
          linear += b * Double(gradient.base[(global.lowerBound + c) * rows + row])
          square += b * Double(product.base[(global.lowerBound - segment.lowerBound + c) * rows + row])
        }
        steps.base[row] = 0
        let place = tiles[tile].parameterIndex(row: row, group: 0) + parameter.index
        let old = tiles[tile].parameters[place]
        guard square > 0, let new = parameter.stored(old - Float(linear / square)), new != old else { continue }
        let step = Double(new) - Double(old)
        guard step * step * square + 2 * step * linear < 0 else { continue }
        tiles[tile].parameters[place] = new
        steps.base[row] = Float(step)
        moves = true
      }
      if !moves { continue }
      addScaled(slope.base, by: steps.base, to: errors.base + global.lowerBound * rows, columns: own.count)
      addScaled(product.base, by: steps.base, to: gradient.base + segment.lowerBound * rows, columns: segment.count)
    }
  }

  /// `result += x` with each row of `x` multiplied by its own factor.
  private func addScaled(
    _ x: UnsafePointer<Float>, by factors: UnsafePointer<Float>, to result: UnsafeMutablePointer<Float>, columns: Int
  ) {
    for place in stride(from: 0, to: columns * rows, by: rows) {
      for row in 0..<rows { result[place + row] += factors[row] * x[place + row] }
    }
  }

  /// How much the values of some columns grow with a parameter, `[columns, rows]`.
  private func readSlope(
    of parameter: AdjustableParameter, _ panel: QuantizedPanel, columns own: Range<Int>, into slope: UnsafeMutablePointer<Float>
  ) {
    var panel = panel
    for row in 0..<rows { panel.parameters[panel.parameterIndex(row: row, group: 0) + parameter.index] = 0 }
    scheme.value(panel, columns: own, into: tileValues.base)
    for (i, c) in own.enumerated() {
      for row in 0..<rows { slope[i * rows + row] = -tileValues.base[row * tileLength + c] }
    }
    for row in 0..<rows { panel.parameters[panel.parameterIndex(row: row, group: 0) + parameter.index] = 1 }
    scheme.value(panel, columns: own, into: tileValues.base)
    for (i, c) in own.enumerated() {
      for row in 0..<rows { slope[i * rows + row] += tileValues.base[row * tileLength + c] }
    }
  }

  /// Moves the codes of a run of columns to those whose values are best with all other columns as they are.
  private func chooseCodes(of run: Range<Int>, in segment: Range<Int>, _ tiles: inout [QuantizedPanel]) {
    let tile = run.lowerBound / tileLength, count = run.count
    let own = run.lowerBound - tile * tileLength..<run.upperBound - tile * tileLength
    let step = gram.solver(for: run)
    for i in 0..<count {
      let place = (run.lowerBound + i) * rows
      for row in 0..<rows {
        var target = weights.base[place + row] + errors.base[place + row]
        for j in 0..<count { target -= step.inverse[i * count + j] * gradient.base[(run.lowerBound + j) * rows + row] }
        tileValues.base[row * tileLength + own.lowerBound + i] = target
      }
    }
    let old = tiles[tile].codes(in: own)
    let panel = Panel(base: tileValues.base, rows: rows, columns: tileLength, rowStride: tileLength)
    if count == joint, count > 1 {
      scheme.nearest(panel, columns: own, metric: step.metric, into: &tiles[tile])
    } else {
      scheme.nearest(panel, columns: own, into: &tiles[tile])
    }
    readValues(of: tiles[tile], columns: own)
    let moved = FloatStorage(count: count * rows)
    var moves = false
    for row in 0..<rows {
      var change: Float = 0, isSame = true
      for i in 0..<count {
        let place = (run.lowerBound + i) * rows + row
        let delta = tileValues.base[row * tileLength + own.lowerBound + i] - weights.base[place] - errors.base[place]
        moved.base[i * rows + row] = delta
        if old[row * count + i] != tiles[tile].codes[row * tiles[tile].columns + own.lowerBound + i] { isSame = false }
      }
      if !isSame {
        for i in 0..<count {
          var sum = 2 * gradient.base[(run.lowerBound + i) * rows + row]
          for j in 0..<count { sum += step.matrix[i * count + j] * moved.base[j * rows + row] }
          change += moved.base[i * rows + row] * sum
        }
      }
      if !isSame, change < 0 {
        moves = true
        for i in 0..<count { errors.base[(run.lowerBound + i) * rows + row] += moved.base[i * rows + row] }
      } else {
        for i in 0..<count {
          moved.base[i * rows + row] = 0
          tiles[tile].codes[row * tiles[tile].columns + own.lowerBound + i] = old[row * count + i]
        }
      }
    }
    if moves { gram.addProduct(of: run, moved.base, rows: rows, into: segment, gradient.base + segment.lowerBound * rows) }
  }

  /// Values of some columns of a tile, as clients compute them.
  private func readValues(of panel: QuantizedPanel, columns own: Range<Int>) {
    scheme.value(panel, columns: own, into: tileValues.base)
    guard let valueType else { return }
    for row in 0..<rows {
      for c in own {
        let value = tileValues.base + row * tileLength + c
        value.pointee = NumberConversion.rounded(value.pointee, to: valueType)
      }
    }
  }
}

extension QuantizedPanel {
  /// The codes of some columns, row after row.
  fileprivate func codes(in columns: Range<Int>) -> [Int32] {
    var result: [Int32] = []
    result.reserveCapacity(rows * columns.count)
    for row in 0..<rows {
      for c in columns { result.append(codes[row * self.columns + c]) }
    }
    return result
  }
}
