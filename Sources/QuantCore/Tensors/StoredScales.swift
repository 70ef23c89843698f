/// Scales of a matrix as a container stores them, one for each row and group.
public struct StoredScales: Sendable {
  /// `f16`, `bf16` or `f32`.
  public let type: ElementType
  private let bytes: ByteView
  private let rowStride: Int
  private let groupStride: Int

  /// - Parameters:
  ///   - rowStride: distance between the scales of two rows, in scales; 0 where all rows share theirs.
  ///   - groupStride: distance between the scales of two groups.
  /// - Returns: nil where the tensor is of no type for scales, or a scale would lie outside of it.
  public init?(_ tensor: CheckpointTensor, rows: Int, groups: Int, rowStride: Int, groupStride: Int) {
    guard let type = StoredScales.type(of: tensor), let bytes = tensor.storage.verbatim, rows > 0, groups > 0, rowStride >= 0,
      groupStride >= 0, let down = Checked.product(rows - 1, rowStride), let across = Checked.product(groups - 1, groupStride),
      let last = Checked.sum(down, across), last < bytes.count / (type.bitCount / 8)
    else { return nil }
    self.type = type
    self.bytes = bytes
    self.rowStride = rowStride
    self.groupStride = groupStride
  }

  /// The type of a tensor of scales, or nil where it is none.
  public static func type(of tensor: CheckpointTensor) -> ElementType? {
    [.bf16, .f16, .f32].first { $0.schemeName == tensor.storage.schemeName }
  }

  /// - Precondition: row and group lie within the matrix.
  public func value(row: Int, group: Int) -> Float {
    StoredScales.value(row * rowStride + group * groupStride, as: type, in: bytes)
  }

  /// Appends `value`, which `type` holds exactly, in little-endian bytes.
  public static func append(_ value: Float, as type: ElementType, to bytes: inout [UInt8]) {
    switch type {
    case .bf16: append(UInt32(NumberConversion.bfloat(value)), 2, to: &bytes)
    case .f16: append(UInt32(NumberConversion.half(value)), 2, to: &bytes)
    default: append(value.bitPattern, 4, to: &bytes)
    }
  }

  /// One of many scales.
  /// - Precondition: `bytes` holds more than `index` values of `type`.
  public static func value(_ index: Int, as type: ElementType, in bytes: ByteView) -> Float {
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
