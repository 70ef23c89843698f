import FamilyKit
public import QuantCore

/// The tower of Llama 4: a transformer over patches, neighbouring patches as one, an adapter, and a projection.
public enum Llama4Tower: TowerFamily {
  /// Id of the tower.
  public static let id = "llama4"
  /// One sentence for lists.
  public static let summary = "Images: Llama 4"
  /// Source.
  public static let reference = "https://ai.meta.com/blog/llama-4-multimodal-intelligence/"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Llama4ForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 5120)
    sizes.image = try stated.size("image_size", or: 448)
    sizes.patch = try stated.size("patch_size", or: 14)
    sizes.width = try stated.size("hidden_size", or: 768)
    sizes.inner = try stated.size("intermediate_size", or: 5632)
    sizes.blocks = try stated.blocks("num_hidden_layers", or: 34)
    sizes.heads = try stated.size("num_attention_heads", or: 16)
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("llama4"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("norm_eps", or: 1e-5))
    let ratio = "pixel_shuffle_ratio"
    keys.set("vision.projector.scale_factor", try stated.factor(stated.number(ratio, or: 0.5), ratio))
    keys.set("use_gelu", .bool(true))
    let (width, inner) = (sizes.width, sizes.inner)
    let (input, output) = (try stated.size("projector_input_dim", or: 4096), try stated.size("projector_output_dim", or: 4096))
    return Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(
          ["vision_model."], "",
          [
            .vector("class_embedding", "v.class_embd", width),
            TowerTensor(
              "patch_embedding.linear", NamedPlace("v.patch_embd").stored(as: "f32", "f16"), [width, 3 * sizes.patch * sizes.patch],
              .constant),
            .table(
              .whole("positional_embedding_vlm"), "v.position_embd", sizes.patchesPerSide * sizes.patchesPerSide + 1, width),
            .norm("layernorm_pre", "v.pre_ln", width), .norm("layernorm_post", "v.post_ln", width),
            .linear("vision_adapter.mlp.fc1", "mm.model.mlp.1", input, inner, bias: .never),
            .linear("vision_adapter.mlp.fc2", "mm.model.mlp.2", output, input, bias: .never),
          ]),
        TowerSection(
          blocks: sizes.blocks, ["vision_model.model.layers.*."], "v.blk.*.",
          [
            .norm("input_layernorm", "ln1", width), .linear("self_attn.q_proj", "attn_q", width, width),
            .linear("self_attn.k_proj", "attn_k", width, width), .linear("self_attn.v_proj", "attn_v", width, width),
            .linear("self_attn.o_proj", "attn_out", width, width), .norm("post_attention_layernorm", "attn_post_norm", width),
            .linear("mlp.fc1", "ffn_up", inner, width), .linear("mlp.fc2", "ffn_down", width, inner),
          ]),
        TowerSection(
          ["multi_modal_projector."], "",
          [
            .linear(
              "linear_1", "mm.model.fc", sizes.projection, try stated.size("vision_output_dim", or: 7680), bias: .optional)
          ]),
      ]
    ).describe(tensors)
  }
}
