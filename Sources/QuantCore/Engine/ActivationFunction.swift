import QuantPlatform

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
    case .geluTanh: VectorKernels.geluTanh(x, count: count)
    // In doubles, so that rounding hides differences between C libraries.
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
          if self == .silu {
            VectorKernels.siluProduct(x, y, count: piece.count)
          } else {
            for i in 0..<piece.count { x[i] *= y[i] }
          }
        }
      }
    }
  }
}
