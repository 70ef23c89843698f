import QuantCore

/// Rounds with clipped groups: each stretch of weights that has a scale of its own is clamped to the fraction of its largest
/// magnitude that gives the smallest output error, then the scheme's rule encodes the clamped weights.
///
/// The fractions are 1, 0.95, …, 0.55. A stretch is scored by its own part of the output, `Δ_g·H_gg·Δ_gᵀ`, as the paper's
/// code does. In super-blocks, where stretches share a scale of scales, the clamped tile is kept only where the whole tile
/// gets better.
///
/// Source: arXiv 2306.00978, §3.2; `auto_clip` of its reference code.
struct ClipRounder: Rounder {
  private static let fractions: [Float] = (0..<10).map { 1 - Float($0) / 20 }

  let scheme: any Scheme
  let statistics: SiteStatistics

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    let columns = panel.columns
    let tileLength = scheme.groupLength(columns: columns)
    let unit = min(scheme.grid.scaleLength ?? columns, tileLength)
    var original = [Float](repeating: 0, count: panel.rows * columns)
    for row in 0..<panel.rows {
      for c in 0..<columns { original[row * columns + c] = panel.row(row)[c] }
    }

    let bounds = unitBounds(original, rows: panel.rows, columns: columns, unit: unit)
    var clipped = clamp(original, to: bounds, columns: columns, unit: unit)
    if unit < tileLength {
      keepWhereTilesImprove(&clipped, original: original, rows: panel.rows, columns: columns, tileLength: tileLength)
    }
    Matrix(rows: panel.rows, columns: columns, values: clipped).withPanel {
      scheme.encode($0, importance: nil, into: &result)
    }
  }

  /// The bound of each (row, unit) with the smallest error.
  private func unitBounds(_ original: [Float], rows: Int, columns: Int, unit: Int) -> [Float] {
    let units = columns / unit
    var largest = [Float](repeating: 0, count: rows * units)
    for row in 0..<rows {
      for c in 0..<columns { largest[row * units + c / unit] = max(largest[row * units + c / unit], abs(original[row * columns + c])) }
    }
    var bounds = largest
    var smallestErrors = [Float](repeating: .infinity, count: rows * units)
    for fraction in ClipRounder.fractions {
      let candidate = largest.map { $0 * fraction }
      let errors = errors(
        of: clamp(original, to: candidate, columns: columns, unit: unit), original: original, rows: rows, columns: columns,
        length: unit)
      for i in errors.indices where errors[i] < smallestErrors[i] {
        smallestErrors[i] = errors[i]
        bounds[i] = candidate[i]
      }
    }
    return bounds
  }

  private func clamp(_ values: [Float], to bounds: [Float], columns: Int, unit: Int) -> [Float] {
    let units = columns / unit
    var result = values
    for i in result.indices {
      let bound = bounds[i / columns * units + i % columns / unit]
      result[i] = min(max(result[i], -bound), bound)
    }
    return result
  }

  /// `Δ_g·H_gg·Δ_gᵀ` of each (row, stretch of `length` columns), where `Δ = round(candidate) − original`.
  private func errors(of candidate: [Float], original: [Float], rows: Int, columns: Int, length: Int) -> [Float] {
    var delta = [Float](repeating: 0, count: candidate.count)
    delta.withUnsafeMutableBufferPointer { buffer in
      guard let destination = buffer.baseAddress else { return }
      Matrix(rows: rows, columns: columns, values: candidate).withPanel {
        scheme.roundTrip($0, importance: nil, into: destination)
      }
    }
    for i in delta.indices { delta[i] -= original[i] }

    let stretches = columns / length
    let channels = statistics.channels
    let single = Parallel(threads: 1)
    var errors = [Float](repeating: 0, count: rows * stretches)
    var part = [Float](repeating: 0, count: rows * length)
    // A stretch of a whole row needs the whole matrix, which is not copied: it can be as large as a block of weights.
    var gramPart = stretches == 1 ? statistics.gram : [Float](repeating: 0, count: length * length)
    for stretch in 0..<stretches {
      let first = stretch * length
      for row in 0..<rows {
        for c in 0..<length { part[row * length + c] = delta[row * columns + first + c] }
      }
      for i in 0..<length where stretches > 1 {
        for j in 0..<length { gramPart[i * length + j] = statistics.gram[(first + i) * channels + first + j] }
      }
      let product = Matrix.multiplyTransposed(
        Matrix(rows: rows, columns: length, values: part), Matrix(rows: length, columns: length, values: gramPart),
        parallel: single
      ).values
      for row in 0..<rows {
        var sum: Float = 0
        for c in row * length..<(row + 1) * length { sum += part[c] * product[c] }
        errors[row * stretches + stretch] = sum
      }
    }
    return errors
  }

  private func keepWhereTilesImprove(
    _ clipped: inout [Float], original: [Float], rows: Int, columns: Int, tileLength: Int
  ) {
    let plain = errors(of: original, original: original, rows: rows, columns: columns, length: tileLength)
    let changed = errors(of: clipped, original: original, rows: rows, columns: columns, length: tileLength)
    let tiles = columns / tileLength
    for row in 0..<rows {
      for tile in 0..<tiles where changed[row * tiles + tile] > plain[row * tiles + tile] {
        let range = row * columns + tile * tileLength..<row * columns + (tile + 1) * tileLength
        clipped.replaceSubrange(range, with: original[range])
      }
    }
  }
}
