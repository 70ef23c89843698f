import FamilyKit
import QuantCore

/// The encoder of SigLIP, which several towers share. Source: arXiv:2303.15343.
enum SigLIP {
  /// The sizes in its object of a configuration.
  /// - Parameter assumed: those that its class assumes if they are not stated.
  static func sizes(_ keys: TowerKeys, assumed: TowerSizes, textWidth: Int?) throws(Failure) -> TowerSizes {
    var sizes = TowerSizes()
    sizes.projection = try keys.languageWidth(or: textWidth)
    sizes.image = assumed.image == 0 ? 0 : try keys.size("image_size", or: assumed.image)
    sizes.patch = try keys.size("patch_size", or: assumed.patch)
    sizes.width = try keys.size("hidden_size", or: assumed.width)
    sizes.inner = try keys.size("intermediate_size", or: assumed.inner)
    sizes.blocks = try keys.blocks("num_hidden_layers", or: assumed.blocks)
    sizes.heads = try keys.size("num_attention_heads", or: assumed.heads)
    return sizes
  }

  /// Tensors outside of blocks; patches are made by a convolution.
  static func embeddings(_ sizes: TowerSizes) -> [TowerTensor] {
    [
      .convolution(
        "embeddings.patch_embedding.weight", "v.patch_embd.weight", sizes.width, 3, kernel: [sizes.patch, sizes.patch], schemes: ["f32"]),
      .vector("embeddings.patch_embedding.bias", "v.patch_embd.bias", sizes.width),
      .table("embeddings.position_embedding", "v.position_embd", sizes.patchesPerSide * sizes.patchesPerSide, sizes.width),
      .norm("post_layernorm", "v.post_ln", sizes.width),
    ]
  }

  /// Tensors of a block.
  static func block(_ sizes: TowerSizes) -> [TowerTensor] {
    let (width, inner) = (sizes.width, sizes.inner)
    return [
      .norm("layer_norm1", "ln1", width),
      .linear("self_attn.q_proj", "attn_q", width, width),
      .linear("self_attn.k_proj", "attn_k", width, width),
      .linear("self_attn.v_proj", "attn_v", width, width),
      .linear("self_attn.out_proj", "attn_out", width, width),
      .norm("layer_norm2", "ln2", width),
      .linear("mlp.fc1", "ffn_up", inner, width),
      .linear("mlp.fc2", "ffn_down", width, inner),
    ]
  }

  /// All tensors of the encoder.
  /// - Parameter prefixes: what precedes its names, one for each way in which versions of a class are saved.
  static func sections(_ sizes: TowerSizes, _ prefixes: [String]) -> [TowerSection] {
    [
      TowerSection(prefixes, "", embeddings(sizes)),
      TowerSection(blocks: sizes.blocks, prefixes.map { $0 + "encoder.layers.*." }, "v.blk.*.", block(sizes)),
    ]
  }
}
