/// The values of a tensor that holds parameters of another one (scales, zero points), each read in place.
public struct StoredNumbers: Sendable {
  /// How many there are.
  public let count: Int
  /// `f32`, `f16` or `bf16`.
  public let type: ElementType
  private let bytes: ByteView

  /// Nil if the tensor does not hold plain `f32`, `f16` or `bf16` values.
  public init?(_ tensor: CheckpointTensor) {
    guard let type = [ElementType.f32, .f16, .bf16].first(where: { $0.schemeName == tensor.storage.schemeName }),
      let bytes = tensor.storage.verbatim
    else { return nil }
    self.type = type
    self.bytes = bytes
    count = bytes.count / (type.bitCount / 8)
  }

  /// - Precondition: `index` is below `count`.
  public subscript(index: Int) -> Float {
    bytes.withUnsafeBytes { raw in
      switch type {
      case .bf16: NumberConversion.float(bfloat: UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)))
      case .f16: NumberConversion.float(half: UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)))
      default: Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
      }
    }
  }

  /// All of them.
  public var values: [Float] { (0..<count).map { self[$0] } }
}
