public import QuantCore

/// The `int-quantized` packing of compressed-tensors: one signed byte per weight, and a scale per output channel or group. It is
/// for integer weights that meet rounded inputs; clients expect `pack-quantized` for weights alone.
///
/// For a matrix `X.weight [out, in]`: `X.weight` I8 `[out, in]` and `X.weight_scale` `[out, groups]` in the model's type; if
/// the input has a stored scale, `X.input_scale` `[1]` in the model's type, and with a zero point `X.input_zero_point` I8 `[1]`.
/// The trap: 4-bit codes take a whole byte each.
public struct IntQuantized: CompressedTensorsPacking {
  public static let id = "int-quantized"
  public static let summary = "4- and 8-bit integers, one byte each, for layers whose inputs are rounded."

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .symmetricInteger && (grid.codeBits == 4 || grid.codeBits == 8) && [.f16, .bf16, .f32].contains(grid.scaleType)
  }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    guard let activations else { return holds(grid) }
    // 8-bit codes are multiplied with the input's codes; 4-bit ones may be widened to the input's type first.
    return holds(grid) && (!activations.element.isFloat || activations.element == .fp8 && grid.codeBits == 4)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let rows = shape.first ?? 0
    let columns = shape.last ?? 0
    let groups = columns / max(1, scheme.groupLength(columns: columns))
    let scaleType = scheme.grid.scaleType
    return [
      StoredPart(name: name, shape: shape, type: .element(.i8), byteCount: shape.reduce(1, *)),
      StoredPart(
        name: name + "_scale", shape: [rows, groups], type: .element(scaleType), byteCount: rows * groups * scaleType.bitCount / 8),
    ]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    [panel.codeBytes(bits: 8), panel.scaleBytes(scheme)]
  }
}
