public import QuantCore

/// The `nvfp4-pack-quantized` packing of compressed-tensors: two E2M1 codes per byte, an E4M3 scale per 16 columns, and an F32
/// scale for the tensor, which divides.
///
/// For a matrix `X.weight [out, in]`: `X.weight_packed` U8 `[out, in / 2]` with the even column in the low nibble, `X.weight_scale`
/// F8_E4M3 `[out, in / 16]`, `X.weight_global_scale` F32 `[1]`; if inputs are rounded, `X.input_global_scale` F32 `[1]`. The
/// trap: ModelOpt stores the reciprocals of both global scales.
public struct NVFP4PackQuantized: CompressedTensorsPacking {
  public static let id = "nvfp4-pack-quantized"
  public static let summary = "NVFP4: E2M1 weights with an E4M3 scale per 16 columns and an F32 scale that divides."

  static let layout = FloatLayout(format: id, parts: ScaledFloatLayout(codes: "_packed")) { arguments, _ in
    arguments.level == .tensorGroup(NVFP4Scheme.length) && arguments.bits == 4 ? NVFP4Scheme(.divisor, modelType: .bf16) : nil
  }

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid == NVFP4Scheme(.divisor, modelType: .bf16).grid }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    holds(grid) && (activations == nil || activations == .nvfp4)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    NVFP4PackQuantized.layout.parts.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    NVFP4PackQuantized.layout.parts.pack(panel, rows: rows, grid: scheme.grid)
  }
}
