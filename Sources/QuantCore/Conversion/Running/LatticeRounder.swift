/// Keeps the codes of weights that lie on the grid already. A tile that does not is rounded by the scheme's rule.
struct LatticeRounder: Rounder {
  private let scheme: any Scheme
  private let type: ElementType
  private let importance: [Float]?

  /// - Parameters:
  ///   - type: in which the source stores the weights.
  ///   - importance: how much errors in the columns weigh for the rule.
  init(_ scheme: any Scheme, _ type: ElementType, _ importance: [Float]?) {
    self.scheme = scheme
    self.type = type
    self.importance = importance
  }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    let length = result.groupLength
    scheme.encode(panel, importance: importance, into: &result)
    let ruled = result
    var others: [(rows: Range<Int>, columns: Range<Int>)] = []
    for first in stride(from: 0, to: panel.rows, by: result.tileRows) {
      let rows = first..<min(first + result.tileRows, panel.rows)
      for group in 0..<result.groupsPerRow {
        let columns = group * length..<min((group + 1) * length, panel.columns)
        let found = panel.withTile(rows: rows, columns: columns) { scheme.exactParameters(of: $0, storedIn: type) }
        guard let found else {
          others.append((rows, columns))
          continue
        }
        let position = result.parameterIndex(row: first, group: group)
        result.parameters.replaceSubrange(position..<position + found.count, with: found)
      }
    }
    scheme.nearest(panel, columns: 0..<panel.columns, into: &result)
    for (rows, columns) in others {
      for row in rows {
        let own = row * panel.columns + columns.lowerBound..<row * panel.columns + columns.upperBound
        result.codes.replaceSubrange(own, with: ruled.codes[own])
      }
    }
  }
}
