public import QuantCore

/// The `mxfp8-quantized` packing of compressed-tensors: one E4M3 code per byte, and a power of two per 32 columns.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F8_E4M3 `[out, in]`, and `X.weight_scale` U8 `[out, in / 32]`, a biased exponent:
/// `2^(byte - 127)`. The trap: without `scale_dtype`, clients misread the exponents as scales.
public struct MXFP8Quantized: CompressedTensorsPacking {
  public static let id = "mxfp8-quantized"
  public static let summary = "MXFP8: E4M3 weights with a power of two per 32 columns."

  static let layout = FloatLayout(format: id, parts: ScaledFloatLayout()) { arguments, _ in
    arguments.level == .group(MicroscalingScheme.length) && arguments.bits == 8 ? MicroscalingScheme(.e4m3, modelType: .bf16) : nil
  }

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid == MicroscalingScheme(.e4m3, modelType: .bf16)?.grid }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    MXFP8Quantized.layout.parts.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    MXFP8Quantized.layout.parts.pack(panel, rows: rows, grid: scheme.grid)
  }
}
