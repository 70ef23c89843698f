import QuantCore

/// An orthogonal matrix without loud entries that is quick to multiply with: `R = D·(H ⊗ Q)`, where D holds random signs, H is the Hadamard
/// matrix of the largest power of two that divides the size, and Q the Hartley matrix of the odd rest.
struct Rotation: Sendable {
  let size: Int
  private let signs: [Float]
  /// The odd factor of the size.
  private let odd: Int
  /// Q, `[odd, odd]`, symmetric.
  private let hartley: [Float]

  init(size: Int, seed: UInt64) {
    self.size = size
    var state = seed
    signs = (0..<size).map { _ in
      // SplitMix64.
      state &+= 0x9E37_79B9_7F4A_7C15
      var bits = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
      return (bits ^ (bits >> 31)) >> 63 == 0 ? 1 : -1
    }
    let odd = max(1, size >> size.trailingZeroBitCount)
    self.odd = odd
    let table = Rotation.sumsOfSineAndCosine(odd)
    hartley = (0..<odd * odd).map { Float(table[$0 / odd * ($0 % odd) % odd] / Double(odd).squareRoot()) }
  }

  /// `cos(2πj/n) + sin(2πj/n)` for all j. Sums and products alone, because the last bits of the C library's functions depend on the CPU.
  private static func sumsOfSineAndCosine(_ n: Int) -> [Double] {
    let angle = 2 * Double.pi / Double(n)
    var (cosine, sine, term) = (0.0, 0.0, 1.0)
    for k in 0..<40 {
      let sign = k / 2 % 2 == 0 ? term : -term
      if k % 2 == 0 { cosine += sign } else { sine += sign }
      term *= angle / Double(k + 1)
    }
    var (x, y) = (1.0, 0.0)
    return (0..<n).map { _ in
      defer { (x, y) = (x * cosine - y * sine, x * sine + y * cosine) }
      return x + y
    }
  }

  /// Replaces every vector along the first dimension of `x`, `[size, lanes]`, by its product with R.
  func apply(to x: UnsafeMutablePointer<Float>, lanes: Int) {
    for i in 0..<size where signs[i] < 0 {
      for lane in i * lanes..<(i + 1) * lanes { x[lane] = -x[lane] }
    }
    if odd > 1 { applyHartley(to: x, lanes: lanes) }
    var half = odd * lanes
    while half < size * lanes {
      for first in stride(from: 0, to: size * lanes, by: 2 * half) {
        let (a, b) = (x + first, x + first + half)
        for i in 0..<half { (a[i], b[i]) = (a[i] + b[i], a[i] - b[i]) }
      }
      half *= 2
    }
    let scale = 1 / Float(size / odd).squareRoot()
    for i in 0..<size * lanes { x[i] *= scale }
  }

  private func applyHartley(to x: UnsafeMutablePointer<Float>, lanes: Int) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: odd * lanes) { sums in
      guard let sum = sums.baseAddress else { return }
      for part in stride(from: 0, to: size * lanes, by: odd * lanes) {
        sum.update(repeating: 0, count: odd * lanes)
        for i in 0..<odd {
          for j in 0..<odd { VectorKernels.axpy(hartley[i * odd + j], x + part + i * lanes, sum + j * lanes, count: lanes) }
        }
        (x + part).update(from: sum, count: odd * lanes)
      }
    }
  }
}
