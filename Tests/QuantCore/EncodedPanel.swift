import QuantCore

@testable import QuantNumbers

/// The codes and parameters that a scheme's own rule gives some rows of a matrix; nil: all.
func encoded(_ scheme: any Scheme, _ matrix: Matrix, importance: [Float]? = nil, rows: Range<Int>? = nil) -> QuantizedPanel {
  var panel = scheme.emptyPanel(rows: (rows ?? 0..<matrix.rows).count, columns: matrix.columns)
  matrix.withPanel(rows: rows) { scheme.encode($0, importance: importance, into: &panel) }
  return panel
}
