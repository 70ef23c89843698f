/// What codes mean, as 32-bit floats: for schemes that no container holds, to be evaluated with any program that loads the model.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F32 `[out, in]`, the values of its codes, bit for bit. The trap: nothing in the output says
/// that its weights were rounded, and it is not smaller for it.
public struct ValuesPacking: Packing {
  public static let id = "values"
  public static let summary = "What codes mean, as 32-bit floats: for schemes that no client knows. Only if asked for."
  public static let reference = "IEEE 754-2019"

  public static let formats: [String] = []
  public static let isOnlyByName = true
  /// Every format stores plain floats.
  public static func isKnown(toReadersOf format: String) -> Bool { true }

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid.kind != .float }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    [StoredPart(name: name, shape: shape, type: .element(.f32), byteCount: shape.reduce(4, *))]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    [NumberConversion.bytes(of: scheme.values(panel), as: .f32)]
  }
}
