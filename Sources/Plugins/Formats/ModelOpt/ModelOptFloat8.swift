import FolderKit
public import QuantCore

/// FP8 as NVIDIA's ModelOpt exports it (`quant_algo: FP8`): one scale per matrix, and one for its input.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F8_E4M3 `[out, in]`, `X.weight_scale` F32 `[]` and `X.input_scale` F32 `[]`. The
/// trap: without the configuration, transformers misreads the codes as weights and silently drops the scales.
public struct ModelOptFloat8: FolderPacking, ActivationPacking, Unpacker, ModelOptPacking {
  public static let id = "modelopt-fp8"
  public static let summary = "FP8 (E4M3) weights and inputs with one scale per tensor, as ModelOpt exports them."
  public static let reference = "https://github.com/NVIDIA/Model-Optimizer"

  private static let layout = ScaledFloatLayout(scaleType: .f32, numberShape: [])
  static let weightParts = ["_scale"]

  public init() {}

  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? Float8Scheme)?.storing(scales: .f32) ?? scheme }

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .scaledFloat && grid.layout == ElementType.f8e4m3.schemeName && grid.tileRows == nil && grid.globalScale == nil
  }

  /// Clients require a stored scale for every input.
  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool { holds(grid) && activations == .fp8Static }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    ModelOptFloat8.layout.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    ModelOptFloat8.layout.pack(panel, rows: rows, grid: scheme.grid)
  }

  public func inputParts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] {
    [(ModelOptInput.part(weight: name), .scale)]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    ModelOptConfiguration.json("FP8", bits: 8, groupLength: nil, roundsInputs: true, unquantized: unquantized)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard let known = try ModelOptConfiguration(configuration), known.algorithm == "FP8",
      let scheme = Float8Scheme(.e4m3, level: .tensor, modelType: .f32)
    else { return nil }
    let parts = moduleParts(stored)
    return try parts.logical { module in
      try ScaledFloatStorage.tensor(
        name: module + ".weight", scheme: scheme, codes: parts.part(module + ".weight"), scales: parts.part(module + ".weight_scale"))
    }
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    let parts = moduleParts(stored)
    var record = ActivationRecord(caches: try parts.caches())
    for module in parts.modules {
      let scale = try ModelOptInput.scale(of: module, in: parts)
      record.inputs[module] = ActivationRecord.Input(.fp8Static, scale: scale)
    }
    return record
  }
}
