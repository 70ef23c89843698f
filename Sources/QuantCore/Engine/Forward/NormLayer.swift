/// A norm over the channels of each token, with its gains.
struct NormLayer: Sendable {
  private let formula: Norm.Formula
  private let epsilon: Float
  private let gain: [Float]
  /// Zeros where the norm has none; unused by those that never have one.
  private let bias: [Float]
  private let ones: [Float]
  /// Of the products that read the result.
  var precision = ProductPrecision.f32

  /// - Parameters:
  ///   - gain: nil: none was found, which a norm with gains cannot run without.
  ///   - bias: nil or empty for a norm without.
  ///   - width: channels of a norm that has no gain.
  init(_ norm: Norm, gain: [Float]?, bias: [Float]?, width: Int = 0) {
    formula = norm.formula
    epsilon = Float(norm.epsilon)
    self.gain = norm.hasGain ? gain ?? [] : [Float](repeating: 1, count: width)
    self.bias = bias ?? [Float](repeating: 0, count: self.gain.count)
    ones = [Float](repeating: 1, count: self.gain.count)
  }

  /// Channels that are normalised together.
  var width: Int { gain.count }

  /// Some rows of `x`, normalised.
  func callAsFunction(_ x: Matrix, rows: Range<Int>, parallel: Parallel) -> Matrix {
    precondition(gain.count == x.columns && bias.count == x.columns, "a norm has one gain per channel")
    let width = x.columns
    return Matrix(rows: rows.count, columns: width) { base in
      let target = SharedPointer(base)
      parallel.forEachRange(rows.count, piece: 64) { piece in
        x.withPanel(rows: rows) { panel in
          for i in piece { normalise(panel.row(i), width, into: target.base + i * width) }
        }
      }
    }
  }

  /// One vector; the result may take the place of the input.
  func normalise(_ x: UnsafePointer<Float>, _ width: Int, into result: UnsafeMutablePointer<Float>) {
    switch formula {
    case .rootMeanSquare where precision.roundsToBFloat:
      // Models that run in BF16 round in front of the gain; behind it the product does.
      VectorKernels.rootMeanSquareNorm(x, gain: ones, epsilon: epsilon, count: width, into: result)
      for c in 0..<width { result[c] = NumberConversion.rounded(result[c], to: .bf16) * gain[c] }
    case .rootMeanSquare: VectorKernels.rootMeanSquareNorm(x, gain: gain, epsilon: epsilon, count: width, into: result)
    case .layer: VectorKernels.layerNorm(x, gain: gain, bias: bias, epsilon: epsilon, count: width, into: result)
    }
  }
}
