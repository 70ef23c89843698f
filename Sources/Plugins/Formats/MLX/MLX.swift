import FolderKit
public import QuantCore

/// The folders of MLX, as mlx-lm writes and loads them.
///
/// For a matrix `X.weight [out, in]` with codes of `b` bits in groups of `g` columns: `X.weight` U32 `[out, in * b / 32]`, codes one after
/// another from the lowest bits on, without gaps; `X.scales` and `X.biases` `[out, in / g]` in the model's type, and a weight is
/// `code * scale + bias` (mode `affine`: 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128). Modes `mxfp4`, `mxfp8` and `nvfp4` have
/// E2M1 or E4M3 codes, scales as U8 (E8M0, or E4M3 in groups of 16) and no biases. Embeddings and output matrices are quantized, too;
/// a layer without `scales` is not quantized. `quantization` in `config.json` says how, `quantization_config` repeats it.
///
/// The experts of a layer are one tensor for each matrix, `switch_mlp.up_proj` and so on (`MLXStacks`).
///
/// The traps: MLX rounds each product and each sum to the type of the scales (BF16 as a rule), and a group's scale may be negative.
public struct MLX: FolderPacking, Unpacker {
  public static let id = "mlx"
  public static let summary = "MLX's groups (affine, mxfp4, mxfp8, nvfp4), embeddings and stacked experts included, for mlx-lm."
  public static let reference = "https://github.com/ml-explore/mlx-lm"
  /// That of `mlx_lm.convert -q`.
  public static let defaultScheme: String? = "int4-g64-affine"
  public static let mustBeAskedFor = true

  public init() {}

  // MARK: What it holds

  public func holds(_ grid: Grid) -> Bool { MLXSettings(grid) != nil }

  /// Integer groups of any kind become affine groups, which hold more: zero points need not be whole.
  public func stored(_ scheme: any Scheme) -> any Scheme {
    switch scheme {
    case let integers as IntegerScheme:
      integers.groupLength.flatMap { AffineScheme(bits: integers.bits, groupLength: $0, scaleType: integers.scaleType) } ?? scheme
    case let floats as NVFP4Scheme: floats.with(nil)
    default: scheme
    }
  }

  public var holdsOuterMatrices: Bool { true }

  // MARK: Writing

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let (rows, columns) = (shape.dropLast().reduce(1, *), shape.last ?? 0)
    let words = columns / 32 * Int(scheme.grid.codeBits) + columns % 32 * Int(scheme.grid.codeBits) / 32
    let groups = columns / max(1, scheme.groupLength(columns: columns))
    let module = QuantizedModule.name(ofWeight: name)
    func part(_ suffix: String, _ width: Int, _ type: ElementType) -> StoredPart {
      StoredPart(
        name: "\(module).\(suffix)", shape: shape.dropLast() + [width], type: .element(type), byteCount: rows * width * type.bitCount / 8)
    }
    guard scheme.grid.kind == .affineInteger else { return [part("weight", words, .u32), part("scales", groups, .u8)] }
    return [part("weight", words, .u32)] + ["scales", "biases"].map { part($0, groups, scheme.grid.scaleType) }
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    // Rows are whole words.
    [panel.codeBytes(bits: Int(scheme.grid.codeBits))]
      + (0..<panel.parameterCount).map { NumberConversion.bytes(of: panel.parameters(at: $0), as: scheme.grid.scaleType) }
  }

  public var furtherConfigurationKeys: [String] { ["quantization"] }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    MLXConfiguration.json(modules.compactMap { module in MLXSettings(module.scheme.grid).map { (MLXStacks.module(module.name), $0) } })
  }

  public func stack(of name: String, configuration: JSON) throws -> (name: String, index: Int)? {
    let type = configuration["model_type"]?.stringValue ?? ""
    if MLX.stackedOnLoading.contains(type) { return nil }
    let stack = MLXStacks.stack(of: name)
    guard !MLX.transformed.contains(type), stack == nil || !MLX.otherExperts.contains(type) else {
      throw Failure(
        .unsupported, "mlx.model", "mlx-lm changes weights of models of type '\(type)' while it loads them, which it cannot do with codes",
        tensor: name, remedy: "Convert with mlx-lm, or choose another \(setting: "packing").")
    }
    return stack
  }

  // Types of models, as mlx-lm 0.32 loads them.

  /// Those of which it multiplies, renames or divides matrices, or changes norms only if experts are not stacked yet.
  private static let transformed: Set<String> = [
    "falcon_h1", "lfm2_moe", "qwen3_next", "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe_lite", "mistral4",
  ]
  /// Those whose stacks have other names.
  private static let otherExperts: Set<String> = ["nemotron_h"]
  /// Those whose stacks have other names, but which it makes itself from the parts of experts.
  private static let stackedOnLoading: Set<String> = ["afmoe", "dots1"]

  // MARK: Reading

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    let isPlain = configuration.isNull && metadata["format"]?.stringValue == MLX.id
    let known = try MLXConfiguration(configuration)
    guard known != nil || isPlain && MLXStacks.holdsStack(stored), !stored.contains(where: { $0.name.hasSuffix(".qweight") }) else {
      return nil
    }
    try checkOriginal(stored)
    let parts = try MLXStacks.divided(stored)
    guard let known else { return parts.map { $0.tensor } }
    let byName = Dictionary(parts.map { ($0.tensor.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    return try parts.compactMap { part in
      let tensor = part.tensor
      if let module = MLX.module(of: tensor.name, part: "scales") ?? MLX.module(of: tensor.name, part: "biases") {
        // A bias of that name that belongs to no codes is a tensor of the model.
        if byName[module + ".scales"] != nil, byName[module + ".weight"] != nil { return nil }
        return tensor
      }
      guard let module = MLX.module(of: tensor.name, part: "weight") else { return tensor }
      guard let scales = byName[module + ".scales"] else {
        guard tensor.storage.elementType != .u32 else {
          throw Failure(.data, "quantized.part-missing", "belongs to a quantized layer, and is not there", tensor: module + ".scales")
        }
        return tensor
      }
      let settings = try known.settings(
        of: part.module ?? module, words: tensor.shape.last ?? 0, groups: scales.shape.last ?? 0,
        hasFloatScales: scales.storage.elementType != .u8)
      return try MLXWeight.tensor(
        tensor.name, settings, codes: tensor, scales: scales, minima: settings.mode == .affine ? byName[module + ".biases"] : nil)
    }
  }

  private static func module(of name: String, part: String) -> String? {
    name.hasSuffix("." + part) ? String(name.dropLast(part.count + 1)) : nil
  }

  /// - Throws: `Failure` `mlx.transformed` for models of which mlx-lm stores other weights than the original ones.
  private func checkOriginal(_ stored: [CheckpointTensor]) throws(Failure) {
    let absorbed = [".embed_q.weight", ".unembed_out.weight"]
    let changed = stored.first { tensor in
      absorbed.contains { tensor.name.hasSuffix($0) }
        // A convolution in MLX's order of dimensions.
        || tensor.name.hasSuffix("conv1d.weight") && tensor.shape.count == 3 && tensor.shape[2] == 1 && tensor.shape[1] > 1
        || tensor.name.hasSuffix(".global_scale")
    }
    guard let changed else { return }
    throw Failure(
      .unsupported, "mlx.transformed",
      "is stored as mlx-lm computes with it; it changes other weights of such models, too, which cannot be undone from names",
      tensor: changed.name, remedy: "Give the model as it was before mlx-lm converted it.")
  }
}
