import QuantCore

/// Scales as a container stores them.
enum StoredScales {
  /// Appends `value`, which `type` holds exactly, in little-endian bytes.
  static func append(_ value: Float, as type: ElementType, to bytes: inout [UInt8]) {
    switch type {
    case .bf16: append(UInt32(NumberConversion.bfloat(value)), 2, to: &bytes)
    case .f16: append(UInt32(NumberConversion.half(value)), 2, to: &bytes)
    default: append(value.bitPattern, 4, to: &bytes)
    }
  }

  /// One of many scales.
  /// - Precondition: `bytes` holds more than `index` values of `type`.
  static func value(_ index: Int, as type: ElementType, in bytes: ByteView) -> Float {
    bytes.withUnsafeBytes { raw in
      switch type {
      case .bf16: NumberConversion.float(bfloat: raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
      case .f16: NumberConversion.float(half: raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
      default: raw.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
      }
    }
  }

  private static func append(_ bits: UInt32, _ count: Int, to bytes: inout [UInt8]) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt32(index)))) }
  }
}
