import FolderKit
public import QuantCore

/// NVFP4 as NVIDIA's ModelOpt exports it (`quant_algo: NVFP4`, or `W4A16_NVFP4` for weights alone): two E2M1 codes per byte, an
/// E4M3 scale per 16 columns, and an F32 scale for the tensor, which multiplies.
///
/// For a matrix `X.weight [out, in]`: `X.weight` U8 `[out, in / 2]` with the even column in the low nibble, `X.weight_scale` F8_E4M3
/// `[out, in / 16]`, `X.weight_scale_2` F32 `[]`, and `X.input_scale` F32 `[]`. The trap: compressed-tensors stores the reciprocals
/// of both F32 scales.
public struct ModelOptNVFP4: FolderPacking, ActivationPacking, Unpacker, ModelOptPacking {
  public static let id = "modelopt-nvfp4"
  public static let summary =
    "NVFP4: E2M1 weights with an E4M3 scale per 16 columns and an F32 scale that multiplies, as ModelOpt exports them."
  public static let reference = "https://github.com/NVIDIA/Model-Optimizer"

  private static let layout = ScaledFloatLayout(globalScale: "_scale_2", numberShape: [])
  static let weightParts = ["_scale", "_scale_2"]

  public init() {}

  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? NVFP4Scheme)?.with(.factor) ?? scheme }

  public func holds(_ grid: Grid) -> Bool { grid == NVFP4Scheme(.factor, modelType: .bf16).grid }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    holds(grid) && (activations == nil || activations == .nvfp4)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    ModelOptNVFP4.layout.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    ModelOptNVFP4.layout.pack(panel, rows: rows, grid: scheme.grid)
  }

  public func inputParts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] {
    [(ModelOptInput.part(weight: name), .reciprocalScale)]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    let roundsInputs = modules.contains { $0.activations != nil }
    if roundsInputs, let other = modules.first(where: { $0.activations == nil }) {
      throw Failure(
        .unsupported, "modelopt.mixed-inputs",
        "does not round its input, but other layers do; this packing rounds the inputs of all layers or of none",
        tensor: other.name, remedy: "Give all layers the same \(setting: "activations"), or choose nvfp4-pack-quantized.")
    }
    return ModelOptConfiguration.json(
      roundsInputs ? "NVFP4" : "W4A16_NVFP4", bits: 4, groupLength: NVFP4Scheme.length, roundsInputs: roundsInputs, unquantized: unquantized
    )
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard let known = try ModelOptConfiguration(configuration), known.algorithm != "FP8" else { return nil }
    let scheme = NVFP4Scheme(.factor, modelType: .bf16)
    let parts = moduleParts(stored)
    return try parts.logical { module in
      try ScaledFloatStorage.tensor(
        name: module + ".weight", scheme: scheme, codes: parts.part(module + ".weight"), scales: parts.part(module + ".weight_scale"),
        globalScale: parts.part(module + ".weight_scale_2"))
    }
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    let parts = moduleParts(stored)
    var record = ActivationRecord(caches: try parts.caches())
    guard try ModelOptConfiguration(configuration)?.algorithm == "NVFP4" else { return record }
    for module in parts.modules {
      let scale = try ModelOptInput.scale(of: module, in: parts)
      record.inputs[module] = ActivationRecord.Input(.nvfp4, scale: 1 / scale)
    }
    return record
  }
}
