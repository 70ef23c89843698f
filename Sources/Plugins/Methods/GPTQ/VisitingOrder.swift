import QuantCore

/// The order in which columns are rounded. The order on disk does not change.
struct VisitingOrder: Sendable, Equatable {
  enum Kind: String, Sendable, CaseIterable {
    /// All parameters are fitted to the original weights; then columns in order of decreasing activations, across tiles.
    case `static`
    /// Tiles, and the columns in each, in order of decreasing activations; the parameters of a tile are fitted when it is reached.
    case block
    /// Tile after tile from left to right; the parameters of a tile are fitted when it is reached.
    case plain

    /// The order with the smaller output error, as measured (Docs/methods.md). Short blocks of few bits gain from parameters
    /// that are fitted to corrected weights; other schemes gain more from the order of decreasing activations.
    static func best(for grid: Grid) -> Kind {
      grid.kind == .block && grid.scaleLength == grid.groupLength && grid.codeBits < 8 ? .block : .static
    }
  }

  static let largestBatch = 128

  let kind: Kind
  /// Mean square of the inputs by column, relative to their mean.
  let diagonal: [Float]
  let tileLength: Int
  /// Columns whose codes are chosen together; they are neighbours in the order.
  let joint: Int
  /// The column at each place of the order.
  let columns: [Int]

  init(_ kind: Kind, diagonal: [Float], tileLength: Int, joint: Int = 1) {
    self.kind = kind
    self.diagonal = diagonal
    let tileLength = max(1, tileLength), joint = max(1, joint)
    self.tileLength = tileLength
    self.joint = joint
    /// Descending; ties in order of the index.
    func isLouder(_ a: (Int, Float), _ b: (Int, Float)) -> Bool { a.1 == b.1 ? a.0 < b.0 : a.1 > b.1 }
    func sorted(_ range: Range<Int>) -> [Int] {
      let runs = stride(from: range.lowerBound, to: range.upperBound, by: joint).map { $0..<min(range.upperBound, $0 + joint) }
      let order = runs.indices.map { ($0, runs[$0].reduce(Float(0)) { $0 + diagonal[$1] }) }.sorted(by: isLouder)
      return order.flatMap { runs[$0.0] }
    }
    switch kind {
    case .plain: columns = Array(0..<diagonal.count)
    case .static: columns = sorted(0..<diagonal.count)
    case .block:
      let tiles = stride(from: 0, to: diagonal.count, by: tileLength).map { first in
        sorted(first..<min(diagonal.count, first + tileLength))
      }
      let loudest = tiles.indices.map { ($0, tiles[$0].first.map { diagonal[$0] } ?? 0) }
      // A tile that is cut short by the edge of the matrix comes last: all others then begin at multiples of the length.
      let (whole, rest) = (loudest.filter { tiles[$0.0].count == tileLength }, loudest.filter { tiles[$0.0].count < tileLength })
      columns = (whole.sorted(by: isLouder) + rest).flatMap { tiles[$0.0] }
    }
  }

  /// Runs of the order whose columns pass their errors on to each other at once, and to the rest in one product.
  /// None of them ends inside a tile whose parameters are fitted when it is reached, unless it began inside it or at its start.
  var batches: [Range<Int>] {
    let largest = VisitingOrder.largestBatch
    let count = columns.count
    var result: [Range<Int>] = []
    var first = 0
    while first < count {
      var end = min(count, first + largest)
      if kind != .static {
        if tileLength < largest {
          end = min(count, first + largest / tileLength * tileLength)
        } else {
          end = min(end, (first / tileLength + 1) * tileLength)
        }
      }
      result.append(first..<end)
      first = end
    }
    return result
  }
}
