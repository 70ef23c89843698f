import FamilyKit
public import QuantCore

/// The tower of GLM-4.1V to GLM-4.6V and of GLM-OCR: patches of pairs of images, gated blocks, neighbouring patches as one, and a gated
/// merger.
///
/// The trap: the sizes have other meanings than their names say. The networks of blocks have `out_hidden_size` channels and the merger has
/// `intermediate_size`; in GLM-OCR, blocks have the latter and the merger has three times the former.
public enum GLM4VTower: TowerFamily {
  /// Id of the tower.
  public static let id = "glm4v"
  /// One sentence for lists.
  public static let summary = "Images: GLM-4.1V to GLM-4.6V, and GLM-OCR"
  /// Paper.
  public static let reference = "arXiv:2507.01006"

  private static let classOfReader = "GlmOcrForConditionalGeneration"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? [] : ["Glm4vForConditionalGeneration", "Glm4vMoeForConditionalGeneration", classOfReader]
  }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    let isReader = configuration.architecture == classOfReader
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: isReader ? 1024 : 4096)
    sizes.image = try stated.size("image_size", or: 336)
    sizes.patch = try stated.size("patch_size", or: 14)
    sizes.width = try stated.size("hidden_size", or: isReader ? 1024 : 1536)
    sizes.inner = try stated.size("intermediate_size", or: isReader ? 4096 : 13696)
    sizes.blocks = try stated.blocks("depth", or: 24)
    sizes.heads = try stated.size("num_heads", or: isReader ? 16 : 12)
    let headSize = try stated.own.headSize(hiddenSize: sizes.width, heads: sizes.heads)
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("glm4v"))
    try stated.activation(in: &keys, assumed: "silu")
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("rms_norm_eps", or: 1e-5))
    // What llama.cpp assumes.
    let side = try stated.size("spatial_merge_size", or: 2)
    if side != 2 { keys.set("vision.spatial_merge_size", side) }
    guard side <= 64 else { throw stated.own.bad("spatial_merge_size", "is larger than 64") }
    let output = try stated.size("out_hidden_size", or: isReader ? 1536 : 4096)
    let (width, merged) = (sizes.width, isReader ? 3 * output : sizes.inner)
    return Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(["visual."], "", try embeddings(stated, sizes, isReader: isReader)),
        TowerSection(
          blocks: sizes.blocks, ["visual.blocks.*."], "v.blk.*.",
          block(width, inner: isReader ? sizes.inner : output, headSize: isReader ? headSize : nil)),
        TowerSection(
          ["visual."], "",
          [
            .norm("post_layernorm", "v.post_ln", width, bias: .never),
            .convolution("downsample.weight", "mm.patch_merger.weight", output, width, kernel: [side, side]),
            .vector("downsample.bias", "mm.patch_merger.bias", output),
            .linear("merger.proj", "mm.model.fc", output, output, bias: .never),
            .norm("merger.post_projection_norm", "mm.post_norm", output),
            .linear("merger.gate_proj", "mm.gate", merged, output, bias: .never),
            .linear("merger.up_proj", "mm.up", merged, output, bias: .never),
            .linear("merger.down_proj", "mm.down", output, merged, bias: .never),
          ]),
      ]
    ).describe(tensors)
  }

  private static func embeddings(_ stated: TowerKeys, _ sizes: TowerSizes, isReader: Bool) throws(Failure) -> [TowerTensor] {
    let patches = try QwenVLBlocks.patches(stated, sizes) + [.vector("patch_embed.proj.bias", "v.patch_embd.bias", sizes.width)]
    if isReader { return patches }
    let positions = sizes.patchesPerSide * sizes.patchesPerSide
    return patches + [
      .norm("post_conv_layernorm", "v.norm_embd", sizes.width, bias: .never),
      .table("embeddings.position_embedding", "v.position_embd", positions, sizes.width),
    ]
  }

  /// - Parameter headSize: of queries and keys that have norms; nil: they have none.
  private static func block(_ width: Int, inner: Int, headSize: Int?) -> [TowerTensor] {
    [
      .norm("norm1", "ln1", width, bias: .never),
      .linear("attn.qkv", "attn_qkv", 3 * width, width, bias: .optional),
      .linear("attn.proj", "attn_out", width, width, bias: .optional),
    ]
      + (headSize.map {
        [.norm("attn.q_norm", "attn_q_norm", $0, bias: .never), .norm("attn.k_norm", "attn_k_norm", $0, bias: .never)]
      } ?? []) + [
        .norm("norm2", "ln2", width, bias: .never),
        .linear("mlp.gate_proj", "ffn_gate", inner, width, bias: .optional),
        .linear("mlp.up_proj", "ffn_up", inner, width, bias: .optional),
        .linear("mlp.down_proj", "ffn_down", width, inner, bias: .optional),
      ]
  }
}
