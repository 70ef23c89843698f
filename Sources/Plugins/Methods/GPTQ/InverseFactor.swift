import QuantCore
import Synchronization

/// `U` with `H⁻¹ = Uᵀ·U` for the damped Gram matrix in the visiting order.
struct InverseFactor: Sendable {
  static let largestDamp = 0.5

  /// `[columns, columns]`, upper triangular, rows and columns in the visiting order.
  let upper: [Float]
  /// What was added to the diagonal, relative to its mean.
  let damp: Double
  /// The factor by which the Gram matrix was multiplied before it was factored.
  let scale: Float

  /// Nil if the matrix holds values that are not finite, or no damping up to `largestDamp` makes it positive definite.
  init?(of statistics: SiteStatistics, order: VisitingOrder, damp: Double, parallel: Parallel) {
    let size = statistics.channels
    guard statistics.gram.count == size * size, statistics.gram.allSatisfy(\.isFinite) else { return nil }
    var mean = 0.0
    for c in 0..<size { mean += Double(statistics.gram[c * size + c]) / Double(max(1, size)) }
    guard mean > 0 else { return nil }
    var damp = damp
    while damp <= InverseFactor.largestDamp {
      var matrix = InverseFactor.damped(statistics.gram, order: order, scale: Float(1 / mean), damp: Float(damp))
      if LinearAlgebra.replaceByInverseFactor(&matrix, size: size, parallel: parallel) {
        upper = matrix
        self.damp = damp
        scale = Float(1 / mean)
        return
      }
      damp = max(0.01, damp * 2)
    }
    return nil
  }

  /// What errors in columns that are rounded together cost after they are passed on to the others: for each run of `joint` places the
  /// matrix M of `eᵀ·M·e`, scaled to a mean diagonal of 1. With B the run's block of U, `M = (BᵀB)⁻¹`.
  func metrics(of order: VisitingOrder) -> [[Float]] {
    let size = order.columns.count, joint = order.joint
    return stride(from: 0, to: size, by: joint).map { first in
      let count = min(joint, size - first)
      // B⁻¹ is upper triangular, too: column by column, backwards.
      var inverse = [Double](repeating: 0, count: count * count)
      for column in 0..<count {
        for row in stride(from: column, through: 0, by: -1) {
          var sum = row == column ? 1.0 : 0.0
          for k in row + 1..<max(row + 1, column + 1) {
            sum -= Double(upper[(first + row) * size + first + k]) * inverse[k * count + column]
          }
          inverse[row * count + column] = sum / Double(upper[(first + row) * size + first + row])
        }
      }
      var metric = [Double](repeating: 0, count: count * count)
      for i in 0..<count {
        for j in 0..<count {
          for k in 0..<count { metric[i * count + j] += inverse[i * count + k] * inverse[j * count + k] }
        }
      }
      let mean = (0..<count).reduce(0.0) { $0 + metric[$1 * count + $1] } / Double(count)
      return metric.map { Float($0 / mean) }
    }
  }

  /// The mean square of each channel relative to their mean; 1 for dead channels.
  static func livelyDiagonal(_ statistics: SiteStatistics) -> [Float] {
    let size = statistics.channels
    let diagonal = (0..<size).map { statistics.gram[$0 * size + $0] }
    let mean = diagonal.reduce(0.0) { $0 + Double($1) } / Double(max(1, size))
    return diagonal.map { $0 > 0 && mean > 0 && mean.isFinite ? Float(Double($0) / mean) : 1 }
  }

  /// Scaled to a mean diagonal of 1, which keeps the arithmetic far from overflow, with dead channels at that mean.
  private static func damped(_ gram: [Float], order: VisitingOrder, scale: Float, damp: Float) -> [Float] {
    let size = order.columns.count
    return [Float](unsafeUninitializedCapacity: size * size) { buffer, count in
      for (i, from) in order.columns.enumerated() {
        for (j, column) in order.columns.enumerated() { buffer[i * size + j] = gram[from * size + column] * scale }
        buffer[i * size + i] = order.diagonal[from] + damp
      }
      count = size * size
    }
  }
}

/// Keeps the factor of the last site: the layers that read a site are rounded one after another.
final class FactorCache: Sendable {
  private struct Entry: Sendable {
    var gram: [Float]
    var order: VisitingOrder
    var factor: InverseFactor?
  }

  private let last = Mutex<Entry?>(nil)

  func factor(of statistics: SiteStatistics, order: VisitingOrder, damp: Double, parallel: Parallel) -> InverseFactor? {
    // Comparing is free if the arrays share their storage, and otherwise ends at the first difference.
    if let entry = last.withLock({ $0 }), entry.order == order, entry.gram == statistics.gram { return entry.factor }
    // Only one factor at a time is in memory.
    last.withLock { $0 = nil }
    let factor = InverseFactor(of: statistics, order: order, damp: damp, parallel: parallel)
    last.withLock { $0 = Entry(gram: statistics.gram, order: order, factor: factor) }
    return factor
  }
}
