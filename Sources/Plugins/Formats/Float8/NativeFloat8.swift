import FolderKit
public import QuantCore

/// vLLM's own packing of FP8 models (`quant_method: fp8`): one scale per matrix, and inputs that are rounded to FP8.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F8_E4M3 `[out, in]`, `X.weight_scale` F32 `[1]`; with `activation_scheme: static`
/// also `X.input_scale` F32 `[1]`. The trap: the packing has no scale per channel, and no weights without rounded inputs; if no
/// rounding was requested, clients compute scales for inputs at run time.
public struct NativeFloat8: FolderPacking, ActivationPacking, Unpacker {
  public static let id = "fp8"
  public static let summary = "FP8 (E4M3) weights with one scale per tensor, in vLLM's own packing."
  public static let reference = "https://docs.vllm.ai/en/latest/features/quantization/fp8.html"

  private static let layout = ScaledFloatLayout(scaleType: .f32)

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .scaledFloat && grid.layout == ElementType.f8e4m3.schemeName && grid.tileRows == nil && grid.globalScale == nil
  }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    holds(grid) && [nil, .fp8Static, .fp8Token, ActivationScheme(.fp8, .tensor)].contains(activations)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    NativeFloat8.layout.parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    NativeFloat8.layout.pack(panel, rows: rows, grid: scheme.grid)
  }

  public func inputParts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] {
    let input = name.dropLast("weight".count) + Float8Configuration.inputScales[0]
    return [(StoredPart(name: String(input), shape: [1], type: .element(.f32), byteCount: 4), .scale)]
  }

  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    scheme == .fp8Static ? Float8Configuration.cacheParts(attention: attention) : nil
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    let isStatic = modules.contains { $0.activations?.isStatic == true }
    if isStatic, let other = modules.first(where: { $0.activations?.isStatic != true }) {
      throw Failure(
        .unsupported, "fp8.mixed-inputs",
        "has no stored scale for its input, but other layers do; this packing needs it for all layers or for none",
        tensor: other.name, remedy: "Give all layers the same \(setting: "activations"), or choose float-quantized.")
    }
    return Float8Configuration.json(activations: isStatic ? "static" : "dynamic", unquantized: unquantized)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard Float8Configuration.isFloat8(configuration), configuration["weight_block_size"]?.arrayValue == nil else { return nil }
    try Float8Configuration.checkSemantics(configuration)
    guard let scheme = Float8Scheme(.e4m3, level: .tensor, modelType: .f32) else { return nil }
    let (parts, scale) = NativeFloat8.parts(stored)
    return try parts.logical { module in
      try ScaledFloatStorage.tensor(
        name: module + ".weight", scheme: scheme, codes: parts.part(module + ".weight"), scales: parts.part(module + ".weight" + scale))
    }
  }

  /// The parts, and the suffix of a weight's scale: transformers uses the one of the packing with blocks.
  private static func parts(_ stored: [CheckpointTensor]) -> (parts: ModuleParts, scale: String) {
    let scale = stored.contains { $0.name.hasSuffix(".weight_scale_inv") } ? "_scale_inv" : "_scale"
    return (ModuleParts(stored, weightParts: [scale], moduleParts: Float8Configuration.inputScales), scale)
  }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    Float8Configuration.expectsQuantized(module, configuration)
  }

  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] { Float8Configuration.findings(configuration) }

  /// Clients compute a scale for each token if none are stored.
  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    let parts = NativeFloat8.parts(stored).parts
    var record = ActivationRecord(caches: try parts.caches())
    let isStatic = configuration["activation_scheme"]?.stringValue == "static"
    for module in parts.modules {
      let name =
        Float8Configuration.inputScales.map { "\(module).\($0)" }.first { parts[$0] != nil }
        ?? "\(module).\(Float8Configuration.inputScales[0])"
      let scale = isStatic ? try ScaledFloatStorage.scale(parts.part(name)) : nil
      record.inputs[module] = ActivationRecord.Input(isStatic ? .fp8Static : .fp8Token, scale: scale)
    }
    return record
  }
}
