/// A method: clamps the outliers of a row before the scheme rounds it.
extension Scaffold {
  var method: String {
    """
    public import QuantCore

    /// Clamps each row to a fraction of its largest weight before rounding, if that lowers the squared error.
    public struct \(type): QuantizationMethod {
      public static let id = "\(name)"
      public static let summary = "Clamp the outliers of a row if that lowers the squared error of its weights."
      public static let reference = "the paper or page that describes it"
      public static let options = [
        OptionDeclaration(name: "to", summary: "smallest fraction tried", defaultValue: "0.8")
      ]
      private let smallest: Double

      public init(_ options: OptionValues) throws { smallest = try options.number("to", in: 0.1...1) }

      public var stages: Set<MethodStage> { [.round] }

      public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
        ClampingRounder(scheme: task.scheme, smallest: Float(smallest))
      }
    }

    private struct ClampingRounder: Rounder {
      let scheme: any Scheme
      let smallest: Float

      func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
        var kept = Matrix(rows: panel.rows, columns: panel.columns)
        var smallestErrors = [Double](repeating: .infinity, count: panel.rows)
        for step in 0...4 {
          let fraction = 1 - (1 - smallest) * Float(step) / 4
          var candidate = Matrix(rows: panel.rows, columns: panel.columns)
          for row in 0..<panel.rows {
            let weights = UnsafeBufferPointer(start: panel.row(row), count: panel.columns)
            let bound = fraction * weights.reduce(0) { max($0, abs($1)) }
            for (column, weight) in weights.enumerated() {
              candidate.values[row * panel.columns + column] = min(max(weight, -bound), bound)
            }
          }
          // The values that a client will see for this candidate, compared with the original weights.
          let seen = candidate.withPanel { scheme.roundTrip($0) }
          for row in 0..<panel.rows {
            let columns = row * panel.columns..<(row + 1) * panel.columns
            let error = zip(columns, UnsafeBufferPointer(start: panel.row(row), count: panel.columns)).reduce(0.0) {
              $0 + Double(seen[$1.0] - $1.1) * Double(seen[$1.0] - $1.1)
            }
            if error < smallestErrors[row] {
              smallestErrors[row] = error
              kept.values.replaceSubrange(columns, with: candidate.values[columns])
            }
          }
        }
        kept.withPanel { scheme.encode($0, importance: nil, into: &result) }
      }
    }

    """
  }

  var methodTests: String {
    """
    import QuantCore
    import \(module)
    import Testing

    /// The weights after rounding, dequantized.
    private func rounded(_ weights: Matrix, to smallest: String, scheme: any Scheme) throws -> [Float] {
      let options = try OptionValues(["to": smallest], declarations: \(type).options, plugin: \(type).id)
      let task = RoundingTask(id: nil, name: "weights", scheme: scheme, statistics: nil)
      let rounder = try #require(try \(type)(options).rounder(for: task))
      var result = scheme.emptyPanel(rows: weights.rows, columns: weights.columns)
      weights.withPanel { rounder.round($0, rows: Array(0..<weights.rows), into: &result) }
      return scheme.values(result)
    }

    private func squaredError(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }

    @Test func aRowWithAnOutlierLosesLess() throws {
      let scheme = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .f32))
      // The other weights are half a step away from 0, on the scale that the one large weight needs.
      let weights = Matrix(rows: 1, columns: 32, values: (0..<32).map { $0 == 5 ? 1 : $0 % 2 == 0 ? 1 / 15 : -1 / 15 })
      let plain = weights.withPanel { scheme.roundTrip($0) }
      let kept = try rounded(weights, to: "1", scheme: scheme)
      #expect(kept == plain, "without clamping, the result is that of the scheme's own rule")
      #expect(try squaredError(rounded(weights, to: "0.5", scheme: scheme), weights.values) < squaredError(plain, weights.values))
    }

    @Test func fractionsOutsideOfTheRangeAreRefused() {
      #expect(throws: Failure.self) {
        try \(type)(OptionValues(["to": "7"], declarations: \(type).options, plugin: \(type).id))
      }
    }

    """
  }
}
