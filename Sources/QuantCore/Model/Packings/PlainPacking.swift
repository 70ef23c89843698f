/// Floating-point values one after another, little-endian: one tensor with the logical name.
public struct PlainPacking: Packing {
  public static let id = "plain"
  public static let summary = "Floating-point tensors as they are."
  public static let reference = "https://github.com/huggingface/safetensors#format"

  public static let formats: [String] = []
  /// Every format stores plain floats.
  public static func isKnown(toReadersOf format: String) -> Bool { true }

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid.kind == .float && PlainPacking.type(of: grid) != nil }

  private static func type(of grid: Grid) -> ElementType? {
    switch grid.layout {
    case "f32": .f32
    case "f16": .f16
    case "bf16": .bf16
    default: nil
    }
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let type = PlainPacking.type(of: scheme.grid) ?? .f32
    return [StoredPart(name: name, shape: shape, type: .element(type), byteCount: shape.reduce(type.bitCount / 8, *))]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let size = (PlainPacking.type(of: scheme.grid) ?? .f32).bitCount / 8
    let bytes = [UInt8](unsafeUninitializedCapacity: panel.codes.count * size) { buffer, count in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for (index, code) in panel.codes.enumerated() {
        if size == 2 {
          raw.storeBytes(of: UInt16(truncatingIfNeeded: code).littleEndian, toByteOffset: index * 2, as: UInt16.self)
        } else {
          raw.storeBytes(of: code.littleEndian, toByteOffset: index * 4, as: Int32.self)
        }
      }
      count = panel.codes.count * size
    }
    return [bytes]
  }

  public func fused(scheme: any Scheme) -> FusedEncoder? {
    switch PlainPacking.type(of: scheme.grid) {
    case .f16: { source, rows, columns, _, destination in NumberConversion.narrowHalf(source, rows * columns, into: destination) }
    case .bf16: { source, rows, columns, _, destination in NumberConversion.narrowBFloat(source, rows * columns, into: destination) }
    case .f32: { source, rows, columns, _, destination in destination.copyMemory(from: source, byteCount: rows * columns * 4) }
    default: nil
    }
  }
}
