import CKernels

/// Loops over vectors and distributions: wrappers of C kernels that give the same bits on every processor.
///
/// Sums of 32-bit floats run in 16 lanes (index modulo 16), those of doubles in 8, and the lanes are added pairwise.
public enum VectorKernels {
  /// `Σ x[i] * y[i]`.
  public static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Float { qc_dot(x, y, count) }

  /// Whether no value is infinite or NaN.
  package static func areFinite(_ x: UnsafePointer<Float>, count: Int) -> Bool { qc_all_finite(x, count) != 0 }

  /// The largest magnitude; 0 if there are no values. NaN is left out.
  package static func largestMagnitude(_ x: [Float]) -> Float { x.withUnsafeBufferPointer { largestMagnitude($0) } }

  package static func largestMagnitude(_ x: UnsafeBufferPointer<Float>) -> Float {
    var largest: Float = 0
    if let base = x.baseAddress, !x.isEmpty { qc_magnitudes(base, x.count, x.count, &largest) }
    return largest
  }

  /// `y += factor * x`.
  public static func axpy(_ factor: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int) {
    qc_axpy(factor, x, y, count)
  }

  /// `result = e^x` with a relative error below 3e-7; results below the smallest normal number become zero.
  public static func exp(_ x: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>, count: Int) { qc_exp(x, result, count) }

  /// Replaces `count` scores by their softmax.
  public static func softmax(_ x: UnsafeMutablePointer<Float>, count: Int) { qc_softmax(x, count) }

  /// `result = gain * x / sqrt(mean(x²) + epsilon)`; `result` may be `x`.
  public static func rootMeanSquareNorm(
    _ x: UnsafePointer<Float>, gain: UnsafePointer<Float>, epsilon: Float, count: Int, into result: UnsafeMutablePointer<Float>
  ) {
    qc_rms_norm(x, gain, epsilon, count, result)
  }

  /// `result = gain * (x - mean(x)) / sqrt(variance(x) + epsilon) + bias`; `result` may be `x`.
  package static func layerNorm(
    _ x: UnsafePointer<Float>, gain: UnsafePointer<Float>, bias: UnsafePointer<Float>, epsilon: Float, count: Int,
    into result: UnsafeMutablePointer<Float>
  ) {
    qc_layer_norm(x, gain, bias, epsilon, count, result)
  }

  /// `x = x / 2 * (1 + tanh(sqrt(2/π) * (x + 0.044715 x³)))`.
  package static func geluTanh(_ x: UnsafeMutablePointer<Float>, count: Int) { qc_gelu_tanh(x, count) }

  /// `gate = silu(gate) * up`, with `silu(x) = x / (1 + e^-x)`.
  public static func siluProduct(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, count: Int) {
    qc_silu_product(gate, up, count)
  }

  /// Rotates each pair (i, i + half) of `x` by the angle whose cosine and sine are given.
  package static func rotate(_ x: UnsafeMutablePointer<Float>, cosine: UnsafePointer<Float>, sine: UnsafePointer<Float>, half: Int) {
    qc_rotate(x, cosine, sine, half)
  }

  /// `log Σ e^x[i]` of logits, summed in doubles.
  public static func logSumExp(_ x: UnsafePointer<Float>, count: Int) -> Double { qc_log_sum_exp(x, count) }

  /// KL divergence in nats of the distribution of logits `q` from that of logits `p`: `Σ p log(p / q)`.
  /// - Parameters:
  ///   - pLogSum: `logSumExp` of `p`.
  ///   - qLogSum: `logSumExp` of `q`.
  public static func divergence(
    _ p: UnsafePointer<Float>, pLogSum: Double, _ q: UnsafePointer<Float>, qLogSum: Double, count: Int
  ) -> Double {
    qc_kl_divergence(p, pLogSum, q, qLogSum, count)
  }
}
