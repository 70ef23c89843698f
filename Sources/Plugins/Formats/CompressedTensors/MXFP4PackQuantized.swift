public import QuantCore

/// The `mxfp4-pack-quantized` packing of compressed-tensors: two E2M1 codes per byte, and a power of two per 32 columns.
///
/// For a matrix `X.weight [out, in]`: `X.weight_packed` U8 `[out, in / 2]` with the even column in the low nibble, and
/// `X.weight_scale` U8 `[out, in / 32]`, a biased exponent: `2^(byte - 127)`. The trap: without `scale_dtype`, clients misread the
/// exponents as scales.
public struct MXFP4PackQuantized: CompressedTensorsPacking {
  public static let id = "mxfp4-pack-quantized"
  public static let summary = "MXFP4: E2M1 weights with a power of two per 32 columns."

  static let layout = FloatLayout(format: id, parts: ScaledFloatLayout(codes: "_packed")) { arguments, _ in
    arguments.level == .group(MicroscalingScheme.length) && arguments.bits == 4 ? MicroscalingScheme(.e2m1, modelType: .bf16) : nil
  }

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid == MicroscalingScheme(.e2m1, modelType: .bf16)?.grid }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    holds(grid) && (activations == nil || activations == .fp8Token)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    MXFP4PackQuantized.layout.parts.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    MXFP4PackQuantized.layout.parts.pack(panel, rows: rows, grid: scheme.grid)
  }
}
