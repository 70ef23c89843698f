import CKernels

/// Floats of 4 and 8 bits, the codes of scaled floats. The raw value names them in a `Grid`.
public enum ShortFloat: String, Sendable, Hashable, CaseIterable {
  /// FP8 with 4 bits of exponent and 3 of mantissa, without infinities: up to 448.
  case e4m3 = "f8_e4m3"
  /// FP8 with 5 bits of exponent and 2 of mantissa: up to 57344.
  case e5m2 = "f8_e5m2"
  /// FP4 with 2 bits of exponent and 1 of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
  case e2m1 = "f4"
  /// FP4 with 3 bits of exponent and none of mantissa: 0, 0.25, 0.5, 1, 2, 4, 8, 16.
  case e3m0 = "f4_e3m0"

  /// Bits of one code.
  public var bitCount: Int { self == .e4m3 || self == .e5m2 ? 8 : 4 }

  /// The type of the tensor that holds the codes: bytes with two codes each for those of 4 bits.
  public var codeType: ElementType {
    switch self {
    case .e4m3: .f8e4m3
    case .e5m2: .f8e5m2
    case .e2m1, .e3m0: .u8
    }
  }

  /// The largest finite value.
  public var largest: Float {
    switch self {
    case .e4m3: 448
    case .e5m2: 57344
    case .e2m1: 6
    case .e3m0: 16
    }
  }

  /// The type as the C kernels number it.
  var kernelElement: Int32 {
    switch self {
    case .e4m3: Int32(QC_E4M3)
    case .e5m2: Int32(QC_E5M2)
    case .e2m1: Int32(QC_E2M1)
    case .e3m0: Int32(QC_E3M0)
    }
  }

  /// The value of a code.
  func value(_ code: UInt8) -> Float {
    switch self {
    case .e4m3: NumberConversion.float(e4m3: code)
    case .e5m2: NumberConversion.float(e5m2: code)
    case .e2m1: NumberConversion.float(e2m1: code)
    case .e3m0: NumberConversion.float(e3m0: code)
    }
  }

  /// The code nearest to a value, ties to even.
  func code(_ value: Float) -> UInt8 {
    switch self {
    case .e4m3: NumberConversion.e4m3(value)
    case .e5m2: NumberConversion.e5m2(value)
    case .e2m1: NumberConversion.e2m1(value)
    case .e3m0: NumberConversion.e3m0(value)
    }
  }

  /// All finite values in ascending order.
  var levels: [Float] { ShortFloat.levels[self] ?? [] }

  /// The value nearest to a magnitude.
  func nearest(_ magnitude: Float) -> Float { value(code(magnitude)) }

  /// Levels that the largest magnitude of a lattice may have: all of FP4, and one for each mantissa of FP8, because a smaller scale would
  /// only lose small values.
  var tops: [Float] {
    let positive = Array(levels.reversed().prefix { $0 > 0 })
    switch self {
    case .e4m3: return Array(positive.prefix(8))
    case .e5m2: return Array(positive.prefix(4))
    case .e2m1, .e3m0: return positive
    }
  }

  private static let levels = Dictionary(
    uniqueKeysWithValues: allCases.map { type in
      (type, Set((0..<1 << type.bitCount).map { type.value(UInt8($0)) + 0 }.filter(\.isFinite)).sorted())
    })
}

extension ElementType {
  /// A type that models compute in, as the C kernels number it.
  var kernelType: Int32 {
    switch self {
    case .bf16: Int32(QC_BFLOAT)
    case .f16: Int32(QC_HALF)
    default: Int32(QC_FLOAT)
    }
  }
}
