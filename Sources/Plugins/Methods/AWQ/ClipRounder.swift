import QuantCore

/// Rounds with clipped groups: each group is clamped to the fraction of its largest magnitude that gives the smallest
/// output error, then the scheme's rule encodes the clamped weights.
///
/// The fractions are 1, 0.95, …, 0.55. A group is scored by its own part of the output error, `Δ_g·H_gg·Δ_gᵀ`, as in the
/// paper's code. In super-blocks, whose sub-blocks share a scale of scales, a clamped tile is kept only if the whole tile
/// gets better.
///
/// Source: arXiv 2306.00978, §3.2; `auto_clip` of its reference code.
struct ClipRounder: Rounder {
  private static let fractions: [Float] = (0..<10).map { 1 - Float($0) / 20 }

  let scheme: any Scheme
  let statistics: SiteStatistics
  /// The importance of each column for the scheme's rule, or nil.
  let importance: [Float]?

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    let columns = panel.columns
    let tileLength = scheme.groupLength(columns: columns)
    let unit = min(scheme.grid.scaleLength ?? columns, tileLength)
    var clipped = clamp(panel, to: unitBounds(panel, unit: unit), unit: unit)
    if unit < tileLength { keepWhereTilesImprove(&clipped, original: panel, tileLength: tileLength) }
    clipped.withPanel { scheme.encode($0, importance: importance, into: &result) }
  }

  /// The bound with the smallest error for each (row, unit).
  private func unitBounds(_ panel: Panel, unit: Int) -> [Float] {
    var largest: [Float] = []
    for row in 0..<panel.rows {
      for start in stride(from: 0, to: panel.columns, by: unit) {
        var magnitude: UInt32 = 0
        // Magnitudes are ordered like their bit patterns, and integer comparisons can be vectorized.
        for c in start..<start + unit { magnitude = max(magnitude, panel.row(row)[c].magnitude.bitPattern) }
        largest.append(Float(bitPattern: magnitude))
      }
    }
    var bounds = largest
    var smallestErrors = [Float](repeating: .infinity, count: largest.count)
    for fraction in ClipRounder.fractions {
      let candidate = largest.map { $0 * fraction }
      let errors = clamp(panel, to: candidate, unit: unit).withPanel { self.errors(of: $0, original: panel, length: unit) }
      for i in errors.indices where errors[i] < smallestErrors[i] {
        smallestErrors[i] = errors[i]
        bounds[i] = candidate[i]
      }
    }
    return bounds
  }

  private func clamp(_ panel: Panel, to bounds: [Float], unit: Int) -> Matrix {
    let columns = panel.columns
    let units = columns / unit
    let values = [Float](unsafeUninitializedCapacity: panel.rows * columns) { buffer, count in
      count = panel.rows * columns
      guard let base = buffer.baseAddress else { return }
      for i in bounds.indices {
        let (row, start) = (i / units, i % units * unit)
        let source = panel.row(row) + start, target = base + row * columns + start, bound = bounds[i]
        for c in 0..<unit {
          let value = source[c] < -bound ? -bound : source[c]
          target[c] = value > bound ? bound : value
        }
      }
    }
    return Matrix(rows: panel.rows, columns: columns, values: values)
  }

  /// `Δ_g·H_gg·Δ_gᵀ` of each (row, group of `length` columns), where `Δ = round(candidate) − original`.
  private func errors(of candidate: Panel, original: Panel, length: Int) -> [Float] {
    let (rows, columns) = (candidate.rows, candidate.columns)
    let stretches = columns / length
    var errors = [Float](repeating: 0, count: rows * stretches)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: rows * (columns + 1)) { scratch in
      guard let delta = scratch.baseAddress else { return }
      let forms = delta + rows * columns
      scheme.roundTrip(candidate, importance: importance, into: delta)
      for row in 0..<rows { VectorKernels.axpy(-1, original.row(row), delta + row * columns, count: columns) }
      statistics.gram.withUnsafeBufferPointer { gram in
        guard let gram = gram.baseAddress else { return }
        for stretch in 0..<stretches {
          let first = stretch * length
          let part = Panel(base: delta + first, rows: rows, columns: length, rowStride: columns)
          let block = gram + first * statistics.channels + first
          LinearAlgebra.quadraticForms(of: part, gram: block, stride: statistics.channels, into: forms)
          for row in 0..<rows { errors[row * stretches + stretch] = forms[row] }
        }
      }
    }
    return errors
  }

  private func keepWhereTilesImprove(_ clipped: inout Matrix, original: Panel, tileLength: Int) {
    let plain = errors(of: original, original: original, length: tileLength)
    let changed = clipped.withPanel { errors(of: $0, original: original, length: tileLength) }
    let tiles = original.columns / tileLength
    for i in plain.indices where changed[i] > plain[i] {
      let (row, first) = (i / tiles, i % tiles * tileLength)
      for c in first..<first + tileLength { clipped[row, c] = original.row(row)[c] }
    }
  }
}
