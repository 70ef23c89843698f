/// A tensor stored as one element after another, without parameters.
public struct PlainStorage: TensorStorage {
  /// The type of each element.
  public let elementType: ElementType
  private let bytes: ByteView

  /// - Parameter bytes: exactly the elements of the tensor; the reader checked their number.
  public init(_ elementType: ElementType, _ bytes: ByteView) {
    self.elementType = elementType
    self.bytes = bytes
  }

  public var schemeName: String { elementType.schemeName }
  public var byteCount: Int { bytes.count }
  public var verbatim: ByteView? { bytes }

  /// True for the floating-point types of at least a byte. FP8 codes are decoded without a scale; a packing applies the
  /// scale stored beside them.
  public var isNumeric: Bool {
    switch elementType {
    case .f16, .bf16, .f32, .f64, .f8e4m3, .f8e5m2, .f8e8m0: true
    default: false
    }
  }

  public func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let count = rows.count * rowLength
    let size = elementType.bitCount / 8
    let start = rows.lowerBound * rowLength * size
    guard count > 0, let part = bytes.slice(start..<start + count * size) else { return }
    part.withUnsafeBytes { buffer in
      guard let source = buffer.baseAddress else { return }
      switch elementType {
      case .f16: NumberConversion.widenHalf(source, count, into: destination)
      case .bf16: NumberConversion.widenBFloat(source, count, into: destination)
      case .f32: UnsafeMutableRawPointer(destination).copyMemory(from: source, byteCount: count * size)
      case .f64: NumberConversion.narrowDouble(source, count, into: destination)
      case .f8e4m3: for i in 0..<count { destination[i] = NumberConversion.float(e4m3: buffer[i]) }
      case .f8e5m2: for i in 0..<count { destination[i] = NumberConversion.float(e5m2: buffer[i]) }
      case .f8e8m0: for i in 0..<count { destination[i] = NumberConversion.float(e8m0: buffer[i]) }
      default: break
      }
    }
  }
}
