import FolderKit
public import QuantCore

/// FP8 with a scale per square of 128 rows and columns, as DeepSeek-V3 introduced it (`quant_method: fp8` with
/// `weight_block_size`); inputs are rounded in groups of 128 channels while the model runs.
///
/// For a matrix `X.weight [out, in]`: `X.weight` F8_E4M3 `[out, in]`, `X.weight_scale_inv` F32 `[ceil(out / 128), ceil(in / 128)]`.
/// With `scale_fmt: ue8m0` all scales are powers of two and are written as F8_E8M0; other tools keep them in F32. The trap:
/// despite its name, the scale multiplies.
public struct BlockFloat8: FolderPacking, ActivationPacking, Unpacker {
  public static let id = "fp8-block"
  public static let summary = "FP8 (E4M3) weights with a scale per square block, as DeepSeek-V3 and transformers store them."
  public static let reference = "https://huggingface.co/docs/transformers/quantization/finegrained_fp8; arXiv 2412.19437"

  private static func layout(_ grid: Grid) -> ScaledFloatLayout {
    ScaledFloatLayout(scales: "_scale_inv", scaleType: grid.scaleType == .f8e8m0 ? .f8e8m0 : .f32)
  }

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .scaledFloat && grid.layout == ElementType.f8e4m3.schemeName && grid.groupLength == grid.tileRows
      && (grid.tileRows ?? 1) > 1 && grid.globalScale == nil
  }

  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool {
    holds(grid) && (activations == nil || activations == grid.groupLength.map { ActivationScheme(.fp8, .group($0)) })
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    BlockFloat8.layout(scheme.grid).parts(name: name, shape: shape, grid: scheme.grid)
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    BlockFloat8.layout(scheme.grid).pack(panel, rows: rows, grid: scheme.grid)
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    guard let grid = modules.first?.scheme.grid, let length = grid.groupLength else { return nil }
    let hasPowerScales = grid.scaleType == .f8e8m0
    if let other = modules.first(where: {
      $0.scheme.grid.groupLength != length || ($0.scheme.grid.scaleType == .f8e8m0) != hasPowerScales
    }) {
      throw Failure(
        .unsupported, "fp8.mixed-blocks", "has blocks of another size or with other scales; this packing has one kind for all layers",
        tensor: other.name, remedy: "Give all layers one scheme.")
    }
    return Float8Configuration.json(
      activations: "dynamic", unquantized: unquantized, block: length, scaleFormat: hasPowerScales ? "ue8m0" : nil)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard Float8Configuration.isFloat8(configuration), let sides = configuration["weight_block_size"]?.arrayValue else { return nil }
    try Float8Configuration.checkSemantics(configuration)
    func scheme(_ hasPowerScales: Bool) -> Float8Scheme? {
      BlockFloat8.blockLength(configuration).flatMap {
        Float8Scheme(.e4m3, level: .block($0), hasPowerScales: hasPowerScales, modelType: .f32)
      }
    }
    guard let plain = scheme(false), let powers = scheme(true) else {
      throw Failure(
        .unsupported, "fp8.block-size", "weight_block_size is \(JSON.array(sides).text()); only squares of at least 2 by 2 are supported",
        remedy: "Give the unquantized model.")
    }
    let parts = BlockFloat8.parts(stored)
    return try parts.logical { module in
      let scales = try parts.part(module + ".weight_scale_inv")
      return try ScaledFloatStorage.tensor(
        name: module + ".weight", scheme: scales.storage.schemeName == ElementType.f8e8m0.schemeName ? powers : plain,
        codes: parts.part(module + ".weight"), scales: scales)
    }
  }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    Float8Configuration.expectsQuantized(module, configuration)
  }

  /// If the configuration says that scales are powers of two, clients keep only their exponents.
  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    guard configuration["scale_fmt"]?.stringValue == "ue8m0" else { return Float8Configuration.findings(configuration) }
    let others = stored.filter { tensor in
      guard tensor.name.hasSuffix(".weight_scale_inv"), let numbers = StoredNumbers(tensor) else { return false }
      return numbers.values.contains { $0.isFinite && $0.significandBitPattern != 0 }
    }
    return Float8Configuration.findings(configuration)
      + Finding.grouped(
        .error, "fp8.scale-format", "holds scales that are not powers of two, but 'scale_fmt' says that all are", in: others.map(\.name))
  }

  private static func blockLength(_ configuration: JSON) -> Int? {
    let sides = configuration["weight_block_size"]?.arrayValue?.map(\.intValue) ?? []
    guard sides.count == 2, let length = sides[0], length == sides[1], length > 1 else { return nil }
    return length
  }

  private static func parts(_ stored: [CheckpointTensor]) -> ModuleParts {
    ModuleParts(stored, weightParts: ["_scale_inv"], moduleParts: [])
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    let parts = BlockFloat8.parts(stored)
    var record = ActivationRecord(caches: try parts.caches())
    guard let length = BlockFloat8.blockLength(configuration) else { return record }
    for module in parts.modules { record.inputs[module] = ActivationRecord.Input(ActivationScheme(.fp8, .group(length))) }
    return record
  }
}
