public import QuantCore

/// The `float-quantized` packing of compressed-tensors: FP8 weights with a scale per output channel, per group of columns, per square
/// block, or for the whole tensor.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F8_E4M3 `[out, in]`, and `X.weight_scale` in the model's type: `[out, 1]`,
/// `[out, in / N]`, `[ceil(out / N), ceil(in / N)]` or `[1]`; if the input has a stored scale, also `X.input_scale` `[1]` in the model's type. The
/// trap: the configuration cannot express E5M2; clients read every 8-bit `float` as E4M3.
public struct FloatQuantized: CompressedTensorsPacking {
  public static let id = "float-quantized"
  public static let summary = "FP8 (E4M3) weights with one scale per channel, group, block or tensor, as vLLM and transformers read them."

  static let layout = FloatLayout(format: id, parts: ScaledFloatLayout()) { arguments, scaleType in
    switch arguments.level {
    case .tensor where arguments.bits == 8: Float8Scheme(.e4m3, level: .tensor, modelType: scaleType)
    case .channel where arguments.bits == 8: Float8Scheme(.e4m3, level: .channel, modelType: scaleType)
    case .group(let length) where arguments.bits == 8: GroupedFloatScheme(.e4m3, length: length, modelType: scaleType)
    case .block(let length) where arguments.bits == 8: Float8Scheme(.e4m3, level: .block(length), modelType: scaleType)
    default: nil
    }
  }

  public init() {}

  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? GroupedFloatScheme)?.storingFloats ?? scheme }

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .scaledFloat && grid.layout == ElementType.f8e4m3.schemeName && [.f16, .bf16, .f32].contains(grid.scaleType)
  }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    holds(grid) && (activations == nil || activations?.element == .fp8)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    FloatQuantized.layout.parts.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    FloatQuantized.layout.parts.pack(panel, rows: rows, grid: scheme.grid)
  }
}
