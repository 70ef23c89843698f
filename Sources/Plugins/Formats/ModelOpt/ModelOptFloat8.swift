public import QuantCore

/// FP8 as NVIDIA's ModelOpt exports it (`quant_algo: FP8`): one scale for each matrix, and one for its input.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F8_E4M3 `[out, in]`, `X.weight_scale` F32 `[]` and `X.input_scale` F32 `[]`. The
/// trap: without the configuration, transformers takes the codes for weights and drops the scales without a word.
public struct ModelOptFloat8: Packing {
  public static let id = "modelopt-fp8"
  public static let summary = "FP8 (E4M3) weights and inputs with one scale per tensor, as ModelOpt exports them."
  public static let reference = "https://github.com/NVIDIA/Model-Optimizer"

  private static let layout = ScaledFloatLayout(scaleType: .f32, numberShape: [])
  static let inputScale = "input_scale"

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .scaledFloat && grid.layout == ElementType.f8e4m3.schemeName && grid.tileRows == nil && grid.globalScale == nil
  }

  /// Readers want a stored scale of every input.
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
    [(ModelOptFloat8.inputPart(name), .scale)]
  }

  static func inputPart(_ weight: String) -> StoredPart {
    StoredPart(name: weight.dropLast("weight".count) + inputScale, shape: [], type: .element(.f32), byteCount: 4)
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    ModelOptConfiguration.json("FP8", bits: 8, groupLength: nil, roundsInputs: true, unquantized: unquantized)
  }

  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    ModelOptConfiguration.cacheParts(attention: attention)
  }

  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON {
    ModelOptConfiguration.addingCache(configuration)
  }

  public func files(configuration: JSON) -> [(name: String, json: JSON)] { [ModelOptConfiguration.file(configuration)] }

  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    guard let known = try ModelOptConfiguration(configuration), known.algorithm == "FP8",
      let scheme = Float8Scheme(.f8e4m3, level: .tensor, modelType: .f32)
    else { return nil }
    let parts = ModuleParts(stored, weightParts: ["_scale"], moduleParts: [ModelOptFloat8.inputScale])
    return try parts.logical { module in
      try ScaledFloatStorage.tensor(
        name: module + ".weight", scheme: scheme, codes: parts.part(module + ".weight"), scales: parts.part(module + ".weight_scale"))
    }
  }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    ModelOptConfiguration.expectsQuantized(module, configuration)
  }

  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    ModelOptConfiguration.findings(configuration, stored: stored)
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    let parts = ModuleParts(stored, weightParts: ["_scale"], moduleParts: [ModelOptFloat8.inputScale])
    var record = ActivationRecord(caches: try parts.caches())
    for module in parts.modules {
      let scale = try ScaledFloatStorage.scale(parts.part("\(module).\(ModelOptFloat8.inputScale)"))
      record.inputs[module] = ActivationRecord.Input(.fp8Static, scale: scale)
    }
    return record
  }
}
