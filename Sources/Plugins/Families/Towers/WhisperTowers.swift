import FamilyKit
public import QuantCore

/// The tower of Qwen2-Audio: the encoder of Whisper with one projection.
public enum Qwen2AudioTower: TowerFamily {
  /// Id of the tower.
  public static let id = "qwen2-audio"
  /// One sentence for lists.
  public static let summary = "Sound: Whisper's encoder of Qwen2-Audio"
  /// Paper.
  public static let reference = "arXiv:2407.10759"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Qwen2AudioForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "audio_config", tensors)
    let sizes = try Whisper.sizes(stated, textWidth: 4096)
    return Tower(
      family: id, keys: try Whisper.keys(stated, sizes, "qwen2a"),
      sections: try Whisper.sections(stated, sizes, [.linear("linear", "mm.a.fc", sizes.projection, sizes.width)])
    ).describe(tensors)
  }
}

/// The tower of Voxtral: the encoder of Whisper, four neighbouring states as one, and two projections.
public enum VoxtralTower: TowerFamily {
  /// Id of the tower.
  public static let id = "voxtral"
  /// One sentence for lists.
  public static let summary = "Sound: Whisper's encoder of Voxtral"
  /// Paper.
  public static let reference = "arXiv:2507.13264"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["VoxtralForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "audio_config", tensors)
    let sizes = try Whisper.sizes(stated, textWidth: 3072)
    var keys = try Whisper.keys(stated, sizes, "voxtral")
    // llama.cpp's converter knows no other.
    keys.set("audio.projector.stack_factor", 4)
    return Tower(
      family: id, keys: keys,
      sections: try Whisper.sections(
        stated, sizes,
        [
          .linear("linear_1", "mm.a.mlp.1", sizes.projection, 4 * sizes.width, bias: .never),
          .linear("linear_2", "mm.a.mlp.2", sizes.projection, sizes.projection, bias: .never),
        ])
    ).describe(tensors)
  }
}

/// The tower of Ultravox: the encoder of Whisper, neighbouring states as one, and a gated projector with norms.
///
/// The traps: `hidden_size` is the width inside the projector; folders that name another model as their language model state its width only
/// by the projector's last matrix.
public enum UltravoxTower: TowerFamily {
  /// Id of the tower.
  public static let id = "ultravox"
  /// One sentence for lists.
  public static let summary = "Sound: Whisper's encoder of Ultravox 0.5 and later"
  /// Source.
  public static let reference = "https://github.com/fixie-ai/ultravox"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["UltravoxModel"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "audio_config", tensors)
    let whole = stated.whole
    let last = tensors["multi_modal_projector.linear_2.weight"]?.shape.first
    let sizes = try Whisper.sizes(stated, textWidth: last)
    let (activation, middle) = (whole.json("projector_act")?.stringValue, whole.json("projector_ln_mid")?.boolValue)
    guard activation == nil || activation == "swiglu", middle == true else {
      throw whole.unsupported("tower.projector", "llama.cpp computes only projectors of swiglu with a norm between their matrices")
    }
    let factor = try whole.positiveSize("stack_factor", "stack_factor"), inner = try whole.positiveSize("hidden_size", "hidden_size")
    guard factor <= 64, inner.isMultiple(of: 2), inner <= 1 << 20 else {
      throw whole.bad("stack_factor", "is more than 64, or 'hidden_size' is odd or too large")
    }
    var keys = try Whisper.keys(stated, sizes, "ultravox")
    keys.set("audio.projector.stack_factor", factor)
    return Tower(
      family: id, keys: keys,
      sections: try Whisper.sections(
        stated, sizes,
        [
          .norm("ln_pre", "mm.a.norm_pre", factor * sizes.width, bias: .never),
          .linear("linear_1", "mm.a.mlp.1", inner, factor * sizes.width, bias: .never),
          .norm("ln_mid", "mm.a.norm_mid", inner / 2, bias: .never),
          .linear("linear_2", "mm.a.mlp.2", sizes.projection, inner / 2, bias: .never),
        ])
    ).describe(tensors)
  }
}

/// The encoder of Whisper, which several towers share. Source: arXiv:2212.04356.
///
/// The traps: keys have no bias; a GGUF holds the biases of the convolutions as columns, and their weights in 16 bits whatever the rest has.
enum Whisper {
  static func sizes(_ keys: TowerKeys, textWidth: Int?) throws(Failure) -> TowerSizes {
    var sizes = TowerSizes()
    sizes.projection = try keys.languageWidth(or: textWidth)
    sizes.width = try keys.size("hidden_size", "d_model", or: 1280)
    sizes.inner = try keys.size("intermediate_size", "encoder_ffn_dim", or: 5120)
    sizes.blocks = try keys.blocks("num_hidden_layers", "encoder_layers", or: 32)
    sizes.heads = try keys.size("num_attention_heads", "encoder_attention_heads", or: 20)
    return sizes
  }

  static func keys(_ stated: TowerKeys, _ sizes: TowerSizes, _ projector: String) throws(Failure) -> GGUFKeys {
    var keys = stated.soundKeys(sizes)
    keys.set("projector_type", .string(projector))
    keys.set("audio.num_mel_bins", try stated.size("num_mel_bins", or: 128))
    keys.set("audio.attention.layer_norm_epsilon", try stated.number("layer_norm_eps", or: 1e-5))
    return keys
  }

  static func sections(_ stated: TowerKeys, _ sizes: TowerSizes, _ projector: [TowerTensor]) throws(Failure) -> [TowerSection] {
    let (width, inner, bins) = (sizes.width, sizes.inner, try stated.size("num_mel_bins", or: 128))
    let convolutions = [(1, bins), (2, width)].flatMap { index, channels in
      [
        TowerTensor.convolution("conv\(index).weight", "a.conv1d.\(index).weight", width, channels, kernel: [3], schemes: ["f16"]),
        TowerTensor(.whole("conv\(index).bias"), .whole("a.conv1d.\(index).bias").shaped([width, 1]), [width], .vector),
      ]
    }
    return [
      TowerSection(
        ["audio_tower."], "",
        convolutions + [
          .table("embed_positions", "a.position_embd", try stated.size("max_source_positions", or: 1500), width),
          .norm("layer_norm", "a.post_ln", width),
        ]),
      TowerSection(
        blocks: sizes.blocks, ["audio_tower.layers.*."], "a.blk.*.",
        [
          .norm("self_attn_layer_norm", "ln1", width), .linear("self_attn.q_proj", "attn_q", width, width),
          .linear("self_attn.k_proj", "attn_k", width, width, bias: .never), .linear("self_attn.v_proj", "attn_v", width, width),
          .linear("self_attn.out_proj", "attn_out", width, width), .norm("final_layer_norm", "ln2", width),
          .linear("fc1", "ffn_up", inner, width), .linear("fc2", "ffn_down", width, inner),
        ]),
      TowerSection(["multi_modal_projector."], "", projector),
    ]
  }
}
