public import QuantCore

/// Signed 4-bit integers in groups, whose scale is searched for: of the fractions 1, 0.95, … 0.55 of the plain scale, the one
/// with the smallest squared error. The grid is that of `int4-gN`, so every packing that holds `int4-gN` holds it.
public struct SearchedScheme: Scheme {
  /// The scheme with the same grid, whose rule fits the scale to the largest weight.
  private let plain: IntegerScheme

  /// Nil for a group size below 1.
  public init?(groupLength: Int, modelType: ElementType) {
    guard let plain = IntegerScheme(bits: 4, groupLength: groupLength, isSymmetric: true, modelType: modelType) else { return nil }
    self.plain = plain
  }

  public var name: String { "searched-g\(plain.groupLength ?? 0)" }
  public var grid: Grid { plain.grid }
  public var parameterCount: Int { plain.parameterCount }

  public func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    nearest(panel, columns: 0..<panel.columns, into: &result)
  }

  public func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    plain.fit(panel, importance: importance, into: &result)
    let length = result.groupLength
    for row in 0..<panel.rows {
      for group in 0..<result.groupsPerRow {
        let position = result.parameterIndex(row: row, group: group)
        let largest = result.parameters[position]
        var smallestError = Float.infinity
        for step in 0..<10 {
          // Rounded as it will be stored, so the error is the one that clients see.
          let scale = NumberConversion.rounded(largest * (1 - Float(step) / 20), to: grid.scaleType)
          var error: Float = 0
          for column in group * length..<(group + 1) * length {
            let weight = panel.row(row)[column]
            let difference = max(-8, min(7, (weight / scale).rounded())) * scale - weight
            error += difference * difference * (importance?[column] ?? 1)
          }
          guard error < smallestError else { continue }
          smallestError = error
          result.parameters[position] = scale
        }
      }
    }
  }

  public func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    plain.nearest(panel, columns: columns, into: &result)
  }

  public func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    plain.value(quantized, columns: columns, into: destination)
  }
}

/// Finds the scheme by its name.
public enum SearchedSchemes: SchemeProvider {
  public static let id = "searched"
  public static let summary = "Signed 4-bit integers in groups, with a searched scale."
  public static let reference = "the paper or page that describes it"
  public static let schemeNames = ["searched-gN"]

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    let start = "searched-g"
    guard name.hasPrefix(start), let length = Int(name.dropFirst(start.count)), length <= 1 << 20 else { return nil }
    return SearchedScheme(groupLength: length, modelType: modelType)
  }
}
