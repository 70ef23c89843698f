/// A scheme: another rule on a grid that packings hold already.
extension Scaffold {
  var scheme: String {
    """
    public import QuantCore

    /// Signed 4-bit integers in groups, whose scale is searched for: of the fractions 1, 0.95, … 0.55 of the plain scale, the one
    /// with the smallest squared error. The grid is that of `int4-gN`, so every packing that holds `int4-gN` holds it.
    public struct \(type): Scheme {
      /// The scheme with the same grid, whose rule fits the scale to the largest weight.
      private let plain: IntegerScheme

      /// Nil for a group size below 1.
      public init?(groupLength: Int, modelType: ElementType) {
        guard let plain = IntegerScheme(bits: 4, groupLength: groupLength, isSymmetric: true, modelType: modelType) else { return nil }
        self.plain = plain
      }

      public var name: String { "\(name)-g\\(plain.groupLength ?? 0)" }
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
    public enum \(type)s: SchemeProvider {
      public static let id = "\(name)"
      public static let summary = "Signed 4-bit integers in groups, with a searched scale."
      public static let reference = "the paper or page that describes it"
      public static let schemeNames = ["\(name)-gN"]

      public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
        let start = "\(name)-g"
        guard name.hasPrefix(start), let length = Int(name.dropFirst(start.count)), length <= 1 << 20 else { return nil }
        return \(type)(groupLength: length, modelType: modelType)
      }
    }

    """
  }

  var schemeTests: String {
    """
    import QuantCore
    import \(module)
    import Testing

    @Test func theSearchedScaleLosesLessThanThePlainOne() throws {
      let searched = try #require(\(type)s.scheme(named: "\(name)-g32", modelType: .f16))
      let plain = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .f16))
      let weights = Matrix(rows: 2, columns: 64, values: (0..<128).map { $0 % 32 == 5 ? 1 : Float($0 % 7) * 0.11 - 0.33 })
      func squaredError(_ scheme: any Scheme) -> Float {
        let seen = weights.withPanel { scheme.roundTrip($0) }
        return zip(seen, weights.values).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      }
      #expect(searched.grid == plain.grid)
      #expect(squaredError(searched) < squaredError(plain))
    }

    @Test func aGroupOfZerosStaysZero() throws {
      let scheme = try #require(\(type)s.scheme(named: "\(name)-g32", modelType: .bf16))
      let weights = Matrix(rows: 1, columns: 32)
      #expect(weights.withPanel { scheme.roundTrip($0) } == weights.values)
    }

    @Test func otherNamesAreNotItsOwn() {
      #expect(\(type)s.scheme(named: "int4-g32", modelType: .f16) == nil)
      #expect(\(type)s.scheme(named: "\(name)-g0", modelType: .f16) == nil)
    }

    """
  }
}
