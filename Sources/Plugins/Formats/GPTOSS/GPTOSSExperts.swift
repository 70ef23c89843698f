public import QuantCore

/// The experts of gpt-oss (`quant_method: mxfp4`): the E2M1 codes of all experts in one tensor, their powers of two in another.
///
/// For the matrices `X [experts, out, in]`: `X_blocks` U8 `[experts, out, in / 32, 16]` with the even column in the low nibble, and
/// `X_scales` U8 `[experts, out, in / 32]`, biased exponents. The trap: as floats, transformers has these matrices transposed,
/// `[experts, in, out]`; and the rows of `gate_up_proj` alternate between gate and up.
public struct GPTOSSExperts: FolderPacking, StackPacking, Unpacker {
  public static let id = "gpt-oss"
  public static let summary = "The stacked MXFP4 experts of gpt-oss."
  public static let reference = "https://huggingface.co/openai/gpt-oss-20b"

  private static let (blocks, scales) = ("_blocks", "_scales")
  private static let layout = ScaledFloatLayout()

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid == MicroscalingScheme(.e2m1, modelType: .bf16)?.grid }

  public func holdsStack(_ name: String, configuration: Configuration?) -> Bool {
    guard configuration?.json?["model_type"]?.stringValue == "gpt_oss" else { return false }
    return [".mlp.experts.gate_up_proj", ".mlp.experts.down_proj"].contains { name.hasSuffix($0) }
  }

  /// Only stacks of this model's experts can be stored in this packing.
  public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
    shape.count == 3 ? nil : "clients unpack only the stacked experts of gpt_oss models from it"
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let groups = shape.dropLast() + [(shape.last ?? 0) / MicroscalingScheme.length]
    return [(GPTOSSExperts.blocks, groups + [MicroscalingScheme.length / 2]), (GPTOSSExperts.scales, groups)].map { ending, shape in
      StoredPart(name: name + ending, shape: Array(shape), type: .element(.u8), byteCount: shape.reduce(1, *))
    }
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    GPTOSSExperts.layout.pack(panel, rows: rows, grid: scheme.grid)
  }

  /// The modules are those that are never packed, by the patterns that clients expect.
  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    let names = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    return .object([
      .init("quant_method", .string("mxfp4")), .init("modules_to_not_convert", .array(names.map { .string($0) })),
    ])
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == "mxfp4", let scheme = MicroscalingScheme(.e2m1, modelType: .bf16) else { return nil }
    let (blocks, scales) = (GPTOSSExperts.blocks, GPTOSSExperts.scales)
    let byName = Dictionary(stored.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let owned = Set(stored.filter { $0.name.hasSuffix(blocks) }.map { String($0.name.dropLast(blocks.count)) + scales })
    return try stored.filter { !owned.contains($0.name) }.map { tensor in
      guard tensor.name.hasSuffix(blocks) else { return tensor }
      let name = String(tensor.name.dropLast(blocks.count))
      guard let own = byName[name + scales] else {
        throw Failure(.data, "quantized.part-missing", "belongs to a quantized layer, but is missing", tensor: name + scales)
      }
      let shape = tensor.shape
      guard shape.count == 4, shape[3] == MicroscalingScheme.length / 2, let columns = Checked.product(shape[2], MicroscalingScheme.length),
        own.shape == Array(shape.dropLast())
      else {
        throw Failure(
          .data, "gpt-oss.shape",
          "blocks of shape \(shape) with scales of shape \(own.shape) are not [experts, out, groups, 16] with a scale per group",
          tensor: tensor.name)
      }
      return try ScaledFloatStorage.tensor(name: name, shape: [shape[0], shape[1], columns], scheme: scheme, codes: tensor, scales: own)
    }
  }
}
