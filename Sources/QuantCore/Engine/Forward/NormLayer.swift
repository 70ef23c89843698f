/// A norm over the channels of each token, with its gain and bias.
struct NormLayer: Sendable {
  private let formula: Norm.Formula
  private let epsilon: Float
  private let gain: [Float]
  /// Zeros if the norm has none; RMS norms do not use it.
  private let bias: [Float]
  private let ones: [Float]
  /// Precision of the products that read the result.
  var precision = ProductPrecision.f32

  /// - Parameters:
  ///   - gain: nil: none was found; a norm that should have one cannot run then.
  ///   - bias: nil for a norm without bias.
  ///   - width: number of channels, for a norm that has no gain.
  init(_ norm: Norm, gain: [Float]?, bias: [Float]?, width: Int = 0) {
    formula = norm.formula
    epsilon = Float(norm.epsilon)
    self.gain = norm.hasGain ? gain ?? [] : [Float](repeating: 1, count: width)
    self.bias = bias ?? [Float](repeating: 0, count: self.gain.count)
    ones = [Float](repeating: 1, count: self.gain.count)
  }

  /// Number of channels that are normalized together.
  var width: Int { gain.count }

  /// Some rows of `x`, normalized.
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

  /// Normalizes one vector; the result may be written over the input.
  func normalise(_ x: UnsafePointer<Float>, _ width: Int, into result: UnsafeMutablePointer<Float>) {
    switch formula {
    case .rootMeanSquare where precision.roundsToBFloat:
      // Models that run in BF16 round before the gain is applied; after it, the matrix product rounds.
      VectorKernels.rootMeanSquareNorm(x, gain: ones, epsilon: epsilon, count: width, into: result)
      for c in 0..<width { result[c] = NumberConversion.rounded(result[c], to: .bf16) * gain[c] }
    case .rootMeanSquare: VectorKernels.rootMeanSquareNorm(x, gain: gain, epsilon: epsilon, count: width, into: result)
    case .layer: VectorKernels.layerNorm(x, gain: gain, bias: bias, epsilon: epsilon, count: width, into: result)
    }
  }
}
