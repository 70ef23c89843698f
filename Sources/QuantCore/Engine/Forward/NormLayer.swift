/// A norm over the channels of each token.
struct NormLayer: Sendable {
  private let kind: Norm
  private let epsilon: Float
  private let gain: [Float]
  /// Zeros where the norm has none; unused by those that never have one.
  private let bias: [Float]
  private let ones: [Float]
  /// Of the products that read the result.
  var precision = ProductPrecision.f32

  /// - Parameter bias: nil or empty for a norm without.
  init(_ parameters: HyperParameters, gain: [Float], bias: [Float]?) {
    kind = parameters.norm
    epsilon = Float(parameters.normEpsilon)
    self.gain = gain
    self.bias = bias ?? [Float](repeating: 0, count: gain.count)
    ones = [Float](repeating: 1, count: gain.count)
  }

  /// Nil where the checkpoint has no such norm.
  init?(_ weights: ModelWeights, _ role: TensorRole, _ parameters: HyperParameters) {
    guard let gain = weights.vector(TensorID(role)) else { return nil }
    self.init(parameters, gain: gain, bias: weights.vector(TensorID(role, isBias: true)))
  }

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

  private func normalise(_ x: UnsafePointer<Float>, _ width: Int, into result: UnsafeMutablePointer<Float>) {
    switch kind {
    case .rootMeanSquare where precision.roundsToBFloat:
      // Models that run in BF16 round in front of the gain; behind it the product does.
      VectorKernels.rootMeanSquareNorm(x, gain: ones, epsilon: epsilon, count: width, into: result)
      for c in 0..<width { result[c] = NumberConversion.rounded(result[c], to: .bf16) * gain[c] }
    case .rootMeanSquare: VectorKernels.rootMeanSquareNorm(x, gain: gain, epsilon: epsilon, count: width, into: result)
    case .layer: VectorKernels.layerNorm(x, gain: gain, bias: bias, epsilon: epsilon, count: width, into: result)
    }
  }
}
