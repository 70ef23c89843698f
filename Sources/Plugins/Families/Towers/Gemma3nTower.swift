import FamilyKit
public import QuantCore

/// The towers of Gemma 3n: MobileNet-V5 for images, a conformer for sound, and for each an embedding of its own tokens.
///
/// The traps: the configuration names the network for images and none of its sizes, so they are those of the tensors; a GGUF states numbers
/// for it that llama.cpp needs and does not use; the layer after the kernels for sound is stored in 16 bits whatever the rest has.
public enum Gemma3nTower: TowerFamily {
  /// Id of the tower.
  public static let id = "gemma3n"
  /// One sentence for lists.
  public static let summary = "Images and sound: MobileNet-V5 and conformer of Gemma 3n"
  /// Paper of the network for images.
  public static let reference = "https://ai.google.dev/gemma/docs/gemma-3n, arXiv:2404.10518"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Gemma3nForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors), heard = try TowerKeys(configuration, "audio_config", tensors)
    let kind = stated.own.json("architecture")?.stringValue ?? "mobilenetv5_300m_enc"
    guard kind == "mobilenetv5_300m_enc" else {
      throw stated.own.unsupported("tower.type", "llama.cpp's converter knows no network '\(kind)' in this class")
    }
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 2048)
    sizes.width = try stated.size("hidden_size", or: 2048)
    sizes.image = stated.processor["size"]?["height"]?.intValue ?? 768
    let pooled = stated.processor["image_seq_length"]?.intValue ?? 256
    guard (1...1_048_576).contains(sizes.image), (1...sizes.image).contains(pooled) else {
      throw stated.own.bad("image_seq_length", "is not from 1 to the size of an image")
    }
    sizes.patch = sizes.image / pooled
    (sizes.inner, sizes.blocks, sizes.heads) = (8192, 128, 8)
    var sound = TowerSizes()
    sound.projection = sizes.projection
    sound.width = try heard.size("hidden_size", or: 1536)
    sound.inner = 6144
    sound.blocks = try heard.blocks("conf_num_hidden_layers", or: 12)
    sound.heads = try heard.size("conf_num_attention_heads", or: 8)

    var keys = try stated.imageKeys(sizes, normalization: ([0, 0, 0], [1, 1, 1]))
    keys.setSound(sound)
    keys.set("vision.projector_type", .string("gemma3nv"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("rms_norm_eps", or: 1e-6))
    keys.set("audio.projector_type", .string("gemma3na"))
    keys.set("audio.num_mel_bins", try heard.size("input_feat_size", or: 128))
    keys.set("audio.attention.layer_norm_epsilon", 1e-5)
    return Tower(
      family: id, keys: keys,
      sections: try imageSections(stated, sizes, tensors) + soundSections(heard, sound)
    ).describe(tensors)
  }

  private static func imageSections(_ stated: TowerKeys, _ sizes: TowerSizes, _ tensors: Checkpoint) throws(Failure) -> [TowerSection] {
    [
      TowerSection(["vision_tower.timm_model."], "", network(tensors)),
      TowerSection(["embed_vision."], "mm.", try embedder(stated, sizes, sizes.width)),
    ]
  }

  /// Parts of the network whose names in a GGUF end as they do in a folder.
  private static let suffixes: Set<Substring> = [
    "conv_exp.weight", "bn1.weight", "conv_pwl.weight", "bn2.weight", "dw_start.conv.weight", "dw_start.bn.weight", "dw_mid.conv.weight",
    "dw_mid.bn.weight", "pw_exp.conv.weight", "pw_exp.bn.weight", "pw_proj.conv.weight", "pw_proj.bn.weight", "layer_scale.gamma",
    "attn.query.proj.weight", "attn.key.proj.weight", "attn.value.proj.weight", "attn.output.proj.weight", "attn.key.down_conv.weight",
    "attn.key.norm.weight", "attn.value.down_conv.weight", "attn.value.norm.weight", "norm.weight",
  ]

  /// The rows of the network's tensors, with the sizes that they have.
  private static func network(_ tensors: Checkpoint) -> [TowerTensor] {
    let prefixes = ["model.vision_tower.timm_model.", "vision_tower.timm_model."]
    return tensors.tensors.compactMap { tensor -> TowerTensor? in
      guard let prefix = prefixes.first(where: { tensor.name.hasPrefix($0) }), [1, 4].contains(tensor.shape.count) else { return nil }
      let name = String(tensor.name.dropFirst(prefix.count))
      if name.hasPrefix("blocks.") {
        // Its stage, its number there, and the part.
        let pieces = name.split(separator: ".", maxSplits: 3)
        guard pieces.count == 4, let stage = Int(pieces[1]), let block = Int(pieces[2]), suffixes.contains(pieces[3]) else { return nil }
        return row(name, "v.blk.\(stage).\(block).\(pieces[3])", tensor.shape)
      }
      guard name.hasPrefix("conv_stem.") || name.hasPrefix("msfa.") else { return nil }
      if name == "conv_stem.conv.bias" {
        let width = tensor.shape[0]
        return TowerTensor(.whole(name), .whole("v." + name).shaped([1, width, 1, 1]), [width], .vector)
      }
      return row(name, "v." + name, tensor.shape, schemes: name.hasPrefix("conv_stem.") ? ["f32"] : [])
    }
  }

  private static func row(_ folder: String, _ gguf: String, _ shape: [Int], schemes: [String] = []) -> TowerTensor {
    shape.count == 1 ? .vector(folder, gguf, shape[0]) : .kernels(folder, gguf, shape, schemes: schemes)
  }

  /// What leads from a tower to the language model.
  private static func embedder(_ stated: TowerKeys, _ sizes: TowerSizes, _ width: Int) throws(Failure) -> [TowerTensor] {
    [
      .linear("embedding", "embedding", try stated.size("vocab_size", or: 128), width, bias: .never),
      .norm("hard_embedding_norm", "hard_emb_norm", width, bias: .never),
      .norm("soft_embedding_norm", "soft_emb_norm", width, bias: .never),
      .linear("embedding_projection", "input_projection", sizes.projection, width, bias: .never),
    ]
  }

  private static func soundSections(_ stated: TowerKeys, _ sizes: TowerSizes) throws(Failure) -> [TowerSection] {
    let (width, bins) = (sizes.width, try stated.size("input_feat_size", or: 128))
    let inner = 4 * width, kernel = try stated.size("conf_conv_kernel_size", or: 5)
    let channels = try stated.sizes("sscp_conv_channel_size", or: [128, 32])
    let headSize = try stated.own.headSize(hiddenSize: width, heads: sizes.heads)
    return [
      TowerSection(
        ["audio_tower.subsample_conv_projection."], "",
        GemmaSound.convolutions(channels) { "conv_\($0).conv.weight" } + [
          .norm("conv_0.norm", "a.conv1d.0.norm", channels[0], bias: .never),
          .norm("conv_1.norm", "a.conv1d.1.norm", channels[1], bias: .never),
          .linear(
            "input_proj_linear", NamedPlace("a.pre_encode.out").stored(as: "f16"), width, channels[1] * ((bins + 3) / 4), bias: .never),
        ]),
      TowerSection(
        blocks: sizes.blocks, ["audio_tower.conformer.*."], "a.blk.*.",
        norms.map { .norm(NamedPlace($0.0), NamedPlace($0.1), width, bias: .never) } + [
          .linear("ffw_layer_start.ffw_layer_1", "ffn_up", inner, width, bias: .never),
          .linear("ffw_layer_start.ffw_layer_2", "ffn_down", width, inner, bias: .never),
          .linear("ffw_layer_end.ffw_layer_1", "ffn_up_1", inner, width, bias: .never),
          .linear("ffw_layer_end.ffw_layer_2", "ffn_down_1", width, inner, bias: .never),
          .linear("attention.attn.q_proj", "attn_q", width, width, bias: .never),
          .linear("attention.attn.k_proj", "attn_k", width, width, bias: .never),
          .linear("attention.attn.v_proj", "attn_v", width, width, bias: .never),
          .linear("attention.post", "attn_out", width, width, bias: .never),
          .linear("attention.attn.relative_position_embedding.pos_proj", "linear_pos", width, width, bias: .never),
          .vector("attention.attn.per_dim_scale", "per_dim_scale", headSize),
          GemmaSound.depthwise(width, kernel, stating: [width, 1, kernel]),
          .linear("lconv1d.linear_start", "conv_pw1", 2 * width, width, bias: .never),
          .linear("lconv1d.linear_end", "conv_pw2", width, width, bias: .never),
        ]),
      TowerSection(["embed_audio."], "mm.a.", try embedder(stated, sizes, width)),
    ]
  }

  /// Norms of a block for sound.
  private static let norms = [
    ("ffw_layer_start.pre_layer_norm", "ffn_norm"), ("ffw_layer_start.post_layer_norm", "ffn_post_norm"),
    ("ffw_layer_end.pre_layer_norm", "ffn_norm_1"), ("ffw_layer_end.post_layer_norm", "ffn_post_norm_1"),
    ("attention.pre_attn_norm", "ln1"), ("attention.post_norm", "ln2"), ("norm", "layer_pre_norm"),
    ("lconv1d.pre_layer_norm", "conv_norm"), ("lconv1d.conv_norm", "norm_conv"),
  ]
}

/// What the towers for sound of Gemma 3n and Gemma 4 have in common: two convolutions of step 2 over time and bins, and a depthwise one in
/// every block, all in 32 bits.
enum GemmaSound {
  static func convolutions(_ channels: [Int], _ name: (Int) -> String) -> [TowerTensor] {
    zip([1] + channels, channels).enumerated().map { index, pair in
      .convolution(name(index), "a.conv1d.\(index).weight", pair.1, pair.0, kernel: [3, 3], schemes: ["f32"])
    }
  }

  /// - Parameter dimensions: those that a GGUF states: `[width, kernel]`, or with a 1 between.
  static func depthwise(_ width: Int, _ kernel: Int, stating dimensions: [Int]) -> TowerTensor {
    TowerTensor(
      NamedPlace("lconv1d.depthwise_conv1d").shaped([width, 1, kernel]), NamedPlace("conv_dw").shaped(dimensions).stored(as: "f32"),
      [width, kernel], .constant)
  }
}
