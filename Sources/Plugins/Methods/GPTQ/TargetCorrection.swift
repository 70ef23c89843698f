import QuantCore

/// Changes the weights so that a layer compensates for the errors of all layers before it.
///
/// The layer reads x, while the layer of the original model reads x₀. The weights that best give the original output are those
/// with `W*·x ≈ W·x₀`: by least squares `W* = W + W·C·H⁻¹` with `C = Σ (x₀ − x) xᵀ`. Rounding `W*` with feedback through `H`
/// then minimises the distance to the output of the original stream, which the published recursion approaches column by
/// column. Only a share of the step is taken, because `C` is mostly noise if the errors are small; and none if the tokens are so few that
/// least squares fits them instead of what they stand for.
struct TargetCorrection: Sendable {
  /// C, `[channels, channels]`.
  private let cross: [Float]
  private let order: VisitingOrder
  private let factor: InverseFactor
  private let share: Float

  /// Tokens that are needed for each channel.
  private static let tokensPerChannel = 8

  /// Nil without a share, with too few tokens, or if the original stream was not observed.
  init?(_ statistics: SiteStatistics, share: Double, order: VisitingOrder, factor: InverseFactor) {
    guard share > 0, !statistics.cross.isEmpty, statistics.tokens >= statistics.channels * TargetCorrection.tokensPerChannel,
      statistics.cross.allSatisfy(\.isFinite)
    else { return nil }
    cross = statistics.cross
    self.order = order
    self.factor = factor
    self.share = Float(share)
  }

  /// `W + share·W·C·UᵀU`.
  func applied(to panel: Panel) -> Matrix {
    let (rows, size) = (panel.rows, panel.columns)
    var result = Matrix(rows: rows, columns: size)
    for row in 0..<rows {
      for c in 0..<size { result[row, c] = panel.row(row)[c] }
    }
    let alone = Parallel(threads: 1)
    let moved = Matrix.multiply(result, Matrix(rows: size, columns: size, values: cross), parallel: alone)
    var visited = moved
    for row in 0..<rows {
      for (place, column) in order.columns.enumerated() { visited[row, place] = moved[row, column] }
    }
    let upper = Matrix(rows: size, columns: size, values: factor.upper)
    let step = Matrix.multiply(Matrix.multiplyTransposed(visited, upper, parallel: alone), upper, parallel: alone)
    let scale = share * factor.scale
    for row in 0..<rows {
      for (place, column) in order.columns.enumerated() { result[row, column] += scale * step[row, place] }
    }
    return result
  }
}
