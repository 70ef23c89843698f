import CKernels

/// How the factors of a matrix product are rounded before they are multiplied. Sums are kept in 32 bits.
public enum ProductPrecision: String, Sendable, CaseIterable {
  /// Not at all.
  case f32
  /// To BF16 on processors that multiply pairs of BF16 values (AVX512_BF16), at twice the speed; elsewhere like `f32`.
  case bf16

  /// Whether this processor has `bf16` products.
  public static var hasBFloat: Bool { qc_cpu_has_bfloat() != 0 }

  /// Whether factors are rounded to BF16 on this processor.
  package var roundsToBFloat: Bool { self == .bf16 && ProductPrecision.hasBFloat }

  /// The level of the C kernels.
  package var level: Int32 { roundsToBFloat ? Int32(QC_BFLOAT_PAIRS) : LinearAlgebra.level }
}
