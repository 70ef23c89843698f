import QuantCore

/// The directions of the outputs in which a matrix `E` has most of its weighted squares: the leading eigenvectors of `P = E·H·Eᵀ`.
///
/// P is never formed. A block of vectors from a fixed start is multiplied by P a few times; in the space of all blocks, P becomes a small
/// matrix whose eigenvectors are found exactly (a block Lanczos method: Golub and Underwood 1977). Rounding errors are nearly noise,
/// whose eigenvalues lie close together: single vectors may then not have converged, but what they miss makes no difference to the error.
struct LeadingDirections {
  /// `[count, out]` with orthonormal rows, those with the largest eigenvalues first; fewer if the matrix has a lower rank.
  let directions: Matrix
  /// Their products with the matrix, `[count, in]`.
  let products: Matrix

  /// Vectors beyond those that are wanted, which speed up convergence.
  private static let oversampling = 8
  /// How often a block is multiplied: as often as the small matrix stays small.
  private static let (steps, smallSize) = (3...12, 288)

  init(of error: Matrix, weights: ColumnWeights, count: Int, isRough: Bool = false, parallel: Parallel) {
    let width = min(count + LeadingDirections.oversampling, error.rows)
    let steps = min(
      max(LeadingDirections.smallSize / max(1, width), LeadingDirections.steps.lowerBound), LeadingDirections.steps.upperBound)
    let blocks = isRough ? 2 : steps
    var basis = Matrix(rows: 0, columns: error.rows)
    var products = Matrix(rows: 0, columns: error.columns)
    var weighted = products
    var block = LeadingDirections.start(rows: width, columns: error.rows)
    for _ in 0..<blocks {
      block.makeOrthonormal(to: basis, parallel: parallel)
      if block.rows == 0 { break }
      let product = Matrix.multiply(block, error, parallel: parallel)
      let own = weights.multiply(product, parallel: parallel)
      basis.append(block)
      products.append(product)
      weighted.append(own)
      if basis.rows == error.rows { break }
      block = Matrix.multiplyTransposed(own, error, parallel: parallel)
    }
    let small = Matrix.multiplyTransposed(products, weighted, parallel: parallel)
    let eigen = SymmetricEigen(small.values.map { Double($0) }, size: small.rows)
    let wanted = eigen.order.prefix(count).filter { eigen.values[$0] > 0 }
    let mix = Matrix(rows: wanted.count, columns: small.rows, values: wanted.flatMap { eigen.vector($0).map { Float($0) } })
    directions = Matrix.multiply(mix, basis, parallel: parallel)
    self.products = Matrix.multiply(mix, products, parallel: parallel)
  }

  /// Random signs, always the same.
  private static func start(rows: Int, columns: Int) -> Matrix {
    var state: UInt64 = 0
    return Matrix(
      rows: rows, columns: columns,
      values: (0..<rows * columns).map { _ in
        // SplitMix64 (Steele, Lea and Flood 2014).
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return (bits ^ (bits >> 31)) & 1 == 0 ? 1 : -1
      })
  }
}

extension Matrix {
  fileprivate mutating func append(_ other: Matrix) {
    self = Matrix(rows: rows + other.rows, columns: columns, values: values + other.values)
  }

  /// A row that loses more than this share of its length to other rows is numerically among them.
  private static let leastRest = 1e-4

  /// Makes the rows orthonormal, and orthogonal to those of `basis`; rows that depend on others are removed.
  fileprivate mutating func makeOrthonormal(to basis: Matrix, parallel: Parallel) {
    let lengths = (0..<rows).map { length(ofRow: $0) }
    // Once leaves what is lost in rounding.
    for _ in 0..<2 where basis.rows > 0 {
      let shares = Matrix.multiplyTransposed(self, basis, parallel: parallel)
      let part = Matrix.multiply(shares, basis, parallel: parallel)
      for place in values.indices { values[place] -= part.values[place] }
    }
    var kept: [[Float]] = []
    for row in 0..<rows {
      var own = Array(self.row(row))
      for _ in 0..<2 {
        for other in kept { own.removePart(along: other) }
      }
      let length = own.length
      guard length > Matrix.leastRest * lengths[row], length.isFinite else { continue }
      kept.append(own.map { Float(Double($0) / length) })
    }
    self = Matrix(rows: kept.count, columns: columns, values: kept.flatMap { $0 })
  }

  private func length(ofRow index: Int) -> Double { Array(row(index)).length }
}

extension [Float] {
  fileprivate var length: Double { reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }

  /// Subtracts the part along a vector of length 1.
  fileprivate mutating func removePart(along other: [Float]) {
    var product = 0.0
    for index in indices { product += Double(self[index]) * Double(other[index]) }
    for index in indices { self[index] -= Float(product * Double(other[index])) }
  }
}
