import QuantCore

/// The state of one panel during its pass through the columns.
struct FeedbackPass {
  private let scheme: any Scheme
  private let order: VisitingOrder
  private let factor: InverseFactor
  private let metrics: [[Float]]
  private let valueType: ElementType?
  private let importance: [Float]?
  private let rows: Int
  private let tileLength: Int
  /// `[columns, rows]` in the visiting order: the weights, corrected for the errors made so far.
  private let weights: FloatStorage
  /// `[batch, rows]`: errors of the columns of a batch, divided by the diagonal of the factor, negated.
  private let errors: FloatStorage
  /// `[rows, tileLength]`: weights of a tile, or the values of its codes.
  private let tileValues: FloatStorage
  /// One panel per tile of the row.
  var tiles: [QuantizedPanel]

  /// - Parameter fitted: initial parameters.
  init(_ rounder: FeedbackRounder, panel: Panel, fitted: QuantizedPanel) {
    scheme = rounder.scheme
    order = rounder.order
    factor = rounder.factor
    metrics = rounder.metrics
    valueType = rounder.valueType
    importance = rounder.importance
    rows = panel.rows
    tileLength = fitted.groupLength
    weights = FloatStorage(count: panel.rows * panel.columns)
    errors = FloatStorage(count: panel.rows * VisitingOrder.largestBatch)
    tileValues = FloatStorage(count: panel.rows * fitted.groupLength)
    for (place, column) in order.columns.enumerated() {
      for row in 0..<panel.rows { weights.base[place * panel.rows + row] = panel.row(row)[column] }
    }
    tiles = (0..<fitted.groupsPerRow).map { tile in
      var own = rounder.scheme.emptyPanel(rows: panel.rows, columns: fitted.groupLength)
      for row in 0..<panel.rows {
        let (from, to) = (fitted.parameterIndex(row: row, group: tile), own.parameterIndex(row: row, group: 0))
        for p in 0..<fitted.parameterCount { own.parameters[to + p] = fitted.parameters[from + p] }
      }
      return own
    }
  }

  /// Rounds the columns at these places of the order and passes their errors on.
  mutating func round(_ batch: Range<Int>) {
    for place in batch {
      if order.kind != .static, place.isMultiple(of: tileLength) { fit(order.columns[place] / tileLength, from: place) }
      if !metrics.isEmpty, place.isMultiple(of: order.joint) { chooseCodes(at: place) }
      roundColumn(at: place, batch: batch)
    }
    passOn(batch)
  }

  /// Fits the parameters of a tile to the weights as they are now. The tile's columns begin at place `first`.
  private mutating func fit(_ tile: Int, from first: Int) {
    let width = width(of: tile)
    for place in first..<first + width {
      let column = order.columns[place] - tile * tileLength
      for row in 0..<rows { tileValues.base[row * tileLength + column] = weights.base[place * rows + row] }
    }
    scheme.fit(
      Panel(base: tileValues.base, rows: rows, columns: width, rowStride: tileLength),
      importance: importance.map { Array($0[tile * tileLength..<tile * tileLength + width]) }, into: &tiles[tile])
  }

  /// Columns of a tile: tiles of several rows may be cut short at the edge of the matrix.
  private func width(of tile: Int) -> Int { min(tileLength, order.columns.count - tile * tileLength) }

  /// Chooses the codes of columns that share a point. The errors are passed on column after column all the same.
  private mutating func chooseCodes(at first: Int) {
    let count = min(order.joint, order.columns.count - first)
    let (tile, column) = order.columns[first].quotientAndRemainder(dividingBy: tileLength)
    for i in 0..<count {
      for row in 0..<rows { tileValues.base[row * tileLength + column + i] = weights.base[(first + i) * rows + row] }
    }
    scheme.nearest(
      Panel(base: tileValues.base, rows: rows, columns: tileLength, rowStride: tileLength), columns: column..<column + count,
      metric: metrics[first / order.joint], into: &tiles[tile])
  }

  private mutating func roundColumn(at place: Int, batch: Range<Int>) {
    let (tile, column) = order.columns[place].quotientAndRemainder(dividingBy: tileLength)
    let weight = weights.base + place * rows
    if metrics.isEmpty {
      // Rows of stride 1, of which only column `column` may be read.
      let panel = Panel(base: weight - column, rows: rows, columns: tileLength, rowStride: 1)
      scheme.nearest(panel, columns: column..<column + 1, into: &tiles[tile])
    }
    scheme.value(tiles[tile], columns: column..<column + 1, into: tileValues.base)
    if let valueType {
      for row in 0..<rows {
        let value = tileValues.base + row * tileLength + column
        value.pointee = NumberConversion.rounded(value.pointee, to: valueType)
      }
    }
    let error = errors.base + (place - batch.lowerBound) * rows
    let size = order.columns.count
    factor.upper.withUnsafeBufferPointer { upper in
      let scale = -1 / upper[place * size + place]
      for row in 0..<rows { error[row] = (weight[row] - tileValues.base[row * tileLength + column]) * scale }
      for later in place + 1..<max(place + 1, batch.upperBound) {
        VectorKernels.axpy(upper[place * size + later], error, weights.base + later * rows, count: rows)
      }
    }
  }

  /// One product for all columns after the batch.
  private func passOn(_ batch: Range<Int>) {
    let size = order.columns.count
    let rest = size - batch.upperBound
    guard rest > 0 else { return }
    factor.upper.withUnsafeBufferPointer { upper in
      guard let base = upper.baseAddress else { return }
      LinearAlgebra.addTransposedProduct(
        base + batch.lowerBound * size + batch.upperBound, aStride: size, errors.base, m: rest, n: rows, k: batch.count,
        to: weights.base + batch.upperBound * rows, parallel: Parallel(threads: 1))
    }
  }

  /// Codes and parameters of all tiles, in the order on disk.
  func store(into result: inout QuantizedPanel) {
    let count = result.parameterCount
    for (tile, own) in tiles.enumerated() {
      for row in 0..<rows {
        let to = row * result.columns + tile * tileLength
        for c in 0..<width(of: tile) { result.codes[to + c] = own.codes[row * own.columns + c] }
        let (from, parameters) = (own.parameterIndex(row: row, group: 0), result.parameterIndex(row: row, group: tile))
        for p in 0..<count { result.parameters[parameters + p] = own.parameters[from + p] }
      }
    }
  }
}
