import FamilyKit
public import QuantCore

/// The towers of Gemma 4: patches with learned positions in two directions, pooled and projected; and, in smaller models, a conformer for
/// sound.
///
/// The traps: the kernels for sound stay in 32 bits, as does the layer after them; a GGUF holds the softplus of the scales of queries; layers
/// may clip what they read and write to ranges of their own.
public enum Gemma4Tower: TowerFamily {
  /// Id of the tower.
  public static let id = "gemma4"
  /// One sentence for lists.
  public static let summary = "Images and sound: Gemma 4"
  /// Source.
  public static let reference = "https://ai.google.dev/gemma/docs/core"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Gemma4ForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 2304)
    // The tower takes images of any size; the converter states this one.
    sizes.image = 224
    sizes.patch = try stated.size("patch_size", or: 16)
    sizes.width = try stated.size("hidden_size", or: 768)
    sizes.inner = try stated.size("intermediate_size", or: 3072)
    sizes.blocks = try stated.blocks("num_hidden_layers", or: 16)
    sizes.heads = try stated.size("num_attention_heads", or: 12)
    guard sizes.patch <= 1024 else { throw stated.own.bad("patch_size", "is larger than 1024") }
    var keys = try stated.imageKeys(sizes)
    let hasSound = stated.whole.json("audio_config")?.objectValue != nil
    let heard = hasSound ? try TowerKeys(configuration, "audio_config", tensors) : nil
    let sound = try heard.map { try soundSizes($0, projection: sizes.projection) }
    if let sound { keys.setSound(sound) }
    keys.set("vision.projector_type", .string("gemma4v"))
    // What llama.cpp assumes.
    let pooled = try stated.size("pooling_kernel_size", or: 3)
    if pooled != 3 { keys.set("vision.projector.scale_factor", pooled) }
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("rms_norm_eps", or: 1e-6))
    var sections = try imageSections(stated, sizes)
    if let heard, let sound {
      keys.set("audio.projector_type", .string("gemma4a"))
      keys.set("audio.num_mel_bins", try heard.size("input_feat_size", or: 128))
      keys.set("audio.attention.layer_norm_epsilon", try heard.number("rms_norm_eps", or: 1e-6))
      sections += try soundSections(heard, sound)
    }
    return Tower(family: id, keys: keys, sections: sections).describe(tensors)
  }

  private static func imageSections(_ stated: TowerKeys, _ sizes: TowerSizes) throws(Failure) -> [TowerSection] {
    let (width, inner) = (sizes.width, sizes.inner)
    let headSize = try stated.size("head_dim", or: 64), positions = try stated.size("position_embedding_size", or: 10_240)
    guard headSize * sizes.heads == width, try stated.size("num_key_value_heads", or: sizes.heads) == sizes.heads else {
      throw stated.own.unsupported("tower.heads", "llama.cpp computes this tower only with heads that together are as wide as it is")
    }
    let clips = stated.own.json("use_clipped_linears")?.boolValue ?? false
    var outside: [TowerTensor] = [
      .patches("patch_embedder.input_proj", "v.patch_embd", width, size: sizes.patch),
      TowerTensor(
        .whole("patch_embedder.position_embedding_table").shaped([2, positions, width]),
        .whole("v.position_embd.weight").shaped([2, positions, width]).stored(as: "f32"), [2 * positions, width], .constant),
    ]
    if stated.own.json("standardize")?.boolValue == true {
      outside += [.vector("std_bias", "v.std_bias", width), .vector("std_scale", "v.std_scale", width)]
    }
    return [
      TowerSection(["vision_tower."], "", outside),
      TowerSection(["embed_vision."], "", [.linear("embedding_projection", "mm.input_projection", sizes.projection, width, bias: .never)]),
      TowerSection(
        blocks: sizes.blocks, ["vision_tower.encoder.layers.*."], "v.blk.*.",
        [
          .norm("input_layernorm", "ln1", width, bias: .never), .norm("post_attention_layernorm", "attn_post_norm", width, bias: .never),
          .norm("pre_feedforward_layernorm", "ln2", width, bias: .never),
          .norm("post_feedforward_layernorm", "ffn_post_norm", width, bias: .never),
          .norm("self_attn.q_norm", "attn_q_norm", headSize, bias: .never),
          .norm("self_attn.k_norm", "attn_k_norm", headSize, bias: .never),
        ]
          + clippable(
            [
              ("self_attn.q_proj", "attn_q", width, width), ("self_attn.k_proj", "attn_k", width, width),
              ("self_attn.v_proj", "attn_v", width, width), ("self_attn.o_proj", "attn_out", width, width),
              ("mlp.gate_proj", "ffn_gate", inner, width), ("mlp.up_proj", "ffn_up", inner, width),
              ("mlp.down_proj", "ffn_down", width, inner),
            ], clips)),
    ]
  }

  private static func soundSizes(_ keys: TowerKeys, projection: Int) throws(Failure) -> TowerSizes {
    var sizes = TowerSizes()
    sizes.projection = projection
    sizes.width = try keys.size("hidden_size", or: 1024)
    sizes.inner = 4 * sizes.width
    sizes.blocks = try keys.blocks("num_hidden_layers", or: 12)
    sizes.heads = try keys.size("num_attention_heads", or: 8)
    return sizes
  }

  private static func soundSections(_ stated: TowerKeys, _ sizes: TowerSizes) throws(Failure) -> [TowerSection] {
    let (width, inner) = (sizes.width, sizes.inner)
    let output = try stated.size("output_proj_dims", or: 1536), kernel = try stated.size("conv_kernel_size", or: 5)
    let channels = try stated.sizes("subsampling_conv_channels", or: [128, 32])
    let headSize = try stated.own.headSize(hiddenSize: width, heads: sizes.heads)
    let clips = stated.own.json("use_clipped_linears")?.boolValue ?? true
    return [
      TowerSection(
        ["audio_tower.subsample_conv_projection."], "",
        GemmaSound.convolutions(channels) { "layer\($0).conv.weight" } + [
          .norm("layer0.norm", "a.conv1d.0.norm", channels[0], bias: .never),
          .norm("layer1.norm", "a.conv1d.1.norm", channels[1], bias: .never),
          .linear(
            "input_proj_linear", NamedPlace("a.input_projection").stored(as: "f32"), width, channels[0] / 4 * channels[1], bias: .never),
        ]),
      TowerSection(["audio_tower."], "", [.linear("output_proj", "a.pre_encode.out", output, width)]),
      TowerSection(
        ["embed_audio."], "", [.linear("embedding_projection", "mm.a.input_projection", sizes.projection, output, bias: .never)]),
      TowerSection(
        blocks: sizes.blocks, ["audio_tower.layers.*."], "a.blk.*.",
        norms.map { .norm(NamedPlace($0.0), NamedPlace($0.1), width, bias: .never) } + [
          TowerTensor(
            .whole("self_attn.per_dim_scale").storing(.softplus), .whole("per_dim_scale.weight"), [headSize], .vector),
          .linear("self_attn.relative_k_proj", "attn_k_rel", width, width, bias: .never),
          GemmaSound.depthwise(width, kernel, stating: [width, kernel]),
        ]
          + clippable(
            [
              ("feed_forward1.ffw_layer_1", "ffn_up", inner, width), ("feed_forward1.ffw_layer_2", "ffn_down", width, inner),
              ("feed_forward2.ffw_layer_1", "ffn_up_1", inner, width), ("feed_forward2.ffw_layer_2", "ffn_down_1", width, inner),
              ("self_attn.q_proj", "attn_q", width, width), ("self_attn.k_proj", "attn_k", width, width),
              ("self_attn.v_proj", "attn_v", width, width), ("self_attn.post", "attn_out", width, width),
              ("lconv1d.linear_start", "conv_pw1", 2 * width, width), ("lconv1d.linear_end", "conv_pw2", width, width),
            ], clips)),
    ]
  }

  /// Norms of a block for sound.
  private static let norms = [
    ("feed_forward1.pre_layer_norm", "ffn_norm"), ("feed_forward1.post_layer_norm", "ffn_post_norm"),
    ("feed_forward2.pre_layer_norm", "ffn_norm_1"), ("feed_forward2.post_layer_norm", "ffn_post_norm_1"),
    ("norm_pre_attn", "attn_pre_norm"), ("norm_post_attn", "attn_post_norm"), ("norm_out", "ln2"),
    ("lconv1d.pre_layer_norm", "conv_norm"), ("lconv1d.conv_norm", "norm_conv"),
  ]

  /// Linear layers that may clip: their matrices, and the ends of the ranges of what they read and write.
  private static func clippable(_ layers: [(folder: String, gguf: String, out: Int, columns: Int)], _ clips: Bool) -> [TowerTensor] {
    layers.flatMap { layer -> [TowerTensor] in
      let ends = clips ? ["input_min", "input_max", "output_min", "output_max"] : []
      return [.linear(NamedPlace(layer.folder + ".linear"), NamedPlace(layer.gguf), layer.out, layer.columns, bias: .never)]
        + ends.map { .vector("\(layer.folder).\($0)", "\(layer.gguf).\($0)", 1) }
    }
  }
}
