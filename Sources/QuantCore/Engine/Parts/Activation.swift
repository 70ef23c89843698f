import QuantPlatform

/// Functions between the matrices of a feed-forward network.
public enum Activation: Sendable, Hashable {
  case silu, relu
  /// With the error function.
  case gelu
  /// Approximated with a hyperbolic tangent.
  case geluTanh
  /// The square of the positive part.
  case squaredRelu
  /// gpt-oss: `g · σ(alpha · g) · (u + 1)` of a gate `g`, clamped to at most `limit`, and another input `u`, clamped to
  /// `-limit ... limit`. Without another input, `u` is 0.
  case clampedSwish(alpha: Float, limit: Float)
  /// xIELU (arXiv:2411.13010): `positive · x² + linear · x` above 0, and `negative · (exp(min(x, bound)) - 1 - x) + linear · x` below.
  case xielu(negative: Float, positive: Float, linear: Float, bound: Float)

  /// Whether `f(s·x) = s·f(x)` for every `s > 0`, so that scaling the input scales the output.
  public var isHomogeneous: Bool { self == .relu }

  /// Whether the gated output is linear in the other input, so that scaling that input scales the output.
  public var isLinearInOther: Bool { if case .clampedSwish = self { false } else { true } }
}

extension Activation {
  /// Applies the function to every value.
  func apply(_ x: inout Matrix, parallel: Parallel) {
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(buffer.count, piece: 1 << 16) { apply(target.base + $0.lowerBound, count: $0.count) }
    }
  }

  private func apply(_ x: UnsafeMutablePointer<Float>, count: Int) {
    switch self {
    case .silu:
      let ones = [Float](repeating: 1, count: count)
      VectorKernels.siluProduct(x, ones, count: count)
    case .relu: for i in 0..<count { x[i] = max(0, x[i]) }
    case .squaredRelu:
      for i in 0..<count {
        let positive = max(0, x[i])
        x[i] = positive * positive
      }
    case .geluTanh: VectorKernels.geluTanh(x, count: count)
    case .clampedSwish(let alpha, let limit):
      for i in 0..<count {
        let gate = min(x[i], limit)
        x[i] = gate / (1 + (-alpha * gate).exponential)
      }
    case .xielu(let negative, let positive, let linear, let bound):
      for i in 0..<count {
        let value = x[i]
        let curve = value > 0 ? positive * value * value : (Float(expm1(Double(min(value, bound)))) - value) * negative
        x[i] = curve + linear * value
      }
    // In doubles, so that rounding to float hides differences between C libraries.
    case .gelu: for i in 0..<count { x[i] = Float(Double(x[i]) / 2 * (1 + erf(Double(x[i]) / 2.0.squareRoot()))) }
    }
  }

  /// `gate = f(gate) * up`.
  func gate(_ gate: inout Matrix, by up: Matrix, parallel: Parallel) {
    if self != .silu { apply(&gate, parallel: parallel) }
    gate.values.withUnsafeMutableBufferPointer { gate in
      up.values.withUnsafeBufferPointer { up in
        guard let base = gate.baseAddress, let factor = up.baseAddress else { return }
        let target = SharedPointer(base)
        let source = SharedPointer(UnsafeMutablePointer(mutating: factor))
        parallel.forEachRange(gate.count, piece: 1 << 16) { piece in
          let (x, y) = (target.base + piece.lowerBound, source.base + piece.lowerBound)
          switch self {
          case .silu: VectorKernels.siluProduct(x, y, count: piece.count)
          case .clampedSwish(_, let limit): for i in 0..<piece.count { x[i] *= min(max(y[i], -limit), limit) + 1 }
          default: for i in 0..<piece.count { x[i] *= y[i] }
          }
        }
      }
    }
  }
}

// In doubles, so that rounding to float hides differences between C libraries.
extension Float {
  /// `e^x`.
  var exponential: Float { Float(exp(Double(self))) }

  /// The logistic function.
  var sigmoid: Float { 1 / (1 + (-self).exponential) }

  /// `log(1 + e^x)`.
  var softplus: Float { self > 20 ? self : Float(log1p(exp(Double(self)))) }
}
