import FamilyKit
public import QuantCore

/// The tower of InternVL 2.5 to 3.5 as transformers saves it: InternViT, then neighbouring patches as one, and a projector.
///
/// The trap: llama.cpp's converter reads only the names of folders that begin with `model.`, older folders are without it.
public enum InternVLTower: TowerFamily {
  /// Id of the tower.
  public static let id = "internvl"
  /// One sentence for lists.
  public static let summary = "Images: InternViT of InternVL 2.5 to 3.5 in the form of transformers"
  /// Papers.
  public static let reference = "arXiv:2412.05271, arXiv:2504.10479"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["InternVLForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 4096)
    sizes.image = try stated.size("image_size", or: 448)
    sizes.patch = try stated.size("patch_size", or: 14)
    sizes.width = try stated.size("hidden_size", or: 1024)
    sizes.inner = try stated.size("intermediate_size", or: 4096)
    sizes.blocks = try stated.blocks("num_hidden_layers", or: 24)
    sizes.heads = try stated.size("num_attention_heads", or: 16)
    let factor = try stated.factor(stated.whole.number("downsample_ratio", "downsample_ratio") ?? 0.5, "downsample_ratio")
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("internvl"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("layer_norm_eps", or: 1e-6))
    try stated.activation(in: &keys, assumed: "gelu")
    keys.set("vision.projector.scale_factor", factor)
    for (key, name) in [("vision.preproc_min_tiles", "min_dynamic_patch"), ("vision.preproc_max_tiles", "max_dynamic_patch")] {
      if let count = try stated.whole.size(name, name), count > 0 { keys.set(key, count) }
    }
    let (width, text, positions) = (sizes.width, sizes.projection, sizes.patchesPerSide * sizes.patchesPerSide + 1)
    return Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(["vision_tower."], "", embeddings(sizes, positions)),
        TowerSection(blocks: sizes.blocks, ["vision_tower.encoder.layer.*."], "v.blk.*.", block(sizes)),
        TowerSection(
          ["multi_modal_projector."], "",
          [
            .norm("layer_norm", "mm.model.mlp.0", width * factor * factor),
            .linear("linear_1", "mm.model.mlp.1", text, width * factor * factor), .linear("linear_2", "mm.model.mlp.3", text, text),
          ]),
      ]
    ).describe(tensors)
  }

  private static func embeddings(_ sizes: TowerSizes, _ positions: Int) -> [TowerTensor] {
    let (width, patch) = (sizes.width, sizes.patch)
    let first = NamedPlace.whole("embeddings.cls_token").shaped([1, 1, width])
    let table = NamedPlace.whole("embeddings.position_embeddings").shaped([1, positions, width])
    return [
      TowerTensor(first, .whole("v.class_embd").shaped([1, 1, width]).stored(as: "f32"), [1, width], .constant),
      .convolution(
        "embeddings.patch_embeddings.projection.weight", "v.patch_embd.weight", width, 3, kernel: [patch, patch]),
      .vector("embeddings.patch_embeddings.projection.bias", "v.patch_embd.bias", width),
      TowerTensor.table(table, .whole("v.position_embd.weight").shaped([1, positions, width]), positions, width).optional,
      TowerTensor.norm("layernorm", "v.post_ln", width, bias: .optional).optional,
    ]
  }

  private static func block(_ sizes: TowerSizes) -> [TowerTensor] {
    let (width, inner) = (sizes.width, sizes.inner)
    return [
      .norm("layernorm_before", "ln1", width, bias: .optional),
      .linear("attention.q_proj", "attn_q", width, width, bias: .optional),
      .linear("attention.k_proj", "attn_k", width, width, bias: .optional),
      .linear("attention.v_proj", "attn_v", width, width, bias: .optional),
      TowerTensor.norm("attention.q_norm", "attn_q_norm", width, bias: .never).optional,
      TowerTensor.norm("attention.k_norm", "attn_k_norm", width, bias: .never).optional,
      .linear("attention.projection_layer", "attn_out", width, width),
      .vector("lambda_1", "ls1.weight", width),
      .norm("layernorm_after", "ln2", width, bias: .optional),
      .linear("mlp.fc1", "ffn_up", inner, width),
      .linear("mlp.fc2", "ffn_down", width, inner),
      .vector("lambda_2", "ls2.weight", width),
    ]
  }
}
