public import QuantCore

/// The `mxfp4-pack-quantized` layout of compressed-tensors: two E2M1 codes a byte, and a power of two for 32 columns.
///
/// For a matrix `X.weight [out, in]`: `X.weight_packed` U8 `[out, in / 2]` with the even column in the low half, and
/// `X.weight_scale` U8 `[out, in / 32]`, a biased exponent: `2^(byte - 127)`. The trap: without `scale_dtype` readers take the bytes
/// for numbers.
public struct MXFP4PackQuantized: Packing {
  public static let id = "mxfp4-pack-quantized"
  public static let summary = "MXFP4: E2M1 weights with a power of two for 32 columns."
  public static let reference = "https://github.com/vllm-project/compressed-tensors"

  static let layout = FloatLayout(format: id, parts: ScaledFloatLayout(codes: "_packed")) { arguments, _ in
    arguments.level == .group(MicroscalingScheme.length) && arguments.bits == 4 ? MicroscalingScheme(.f4, modelType: .bf16) : nil
  }

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid == MicroscalingScheme(.f4, modelType: .bf16)?.grid }

  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    StoredInput.cacheParts(attention: attention, modelType: modelType)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    MXFP4PackQuantized.layout.parts.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    MXFP4PackQuantized.layout.parts.pack(panel, rows: rows, grid: scheme.grid)
  }

  public var configurationKind: String { QuantizationConfiguration.method }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    QuantizationConfiguration.json(format: MXFP4PackQuantized.id, modules: modules, unquantized: unquantized)
  }

  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON {
    QuantizationConfiguration.adding(cache: scheme, to: configuration)
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    try QuantizationConfiguration.activations(configuration, format: MXFP4PackQuantized.id, stored: stored)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    try MXFP4PackQuantized.layout.unpack(configuration, stored: stored)
  }
}
