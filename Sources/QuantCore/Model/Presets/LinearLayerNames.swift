/// Which matrices of a checkpoint that no family describes are linear layers of its language blocks, as far as names say.
///
/// What is quantized by mistake costs far more than what is not: a router that is rounded sends tokens to other experts, and programs look
/// for the plain weights of a vision tower. So a matrix counts only where nothing speaks against it. GGUF has a rule of its own.
enum LinearLayerNames {
  /// Where a word of a name must stand to say something.
  private enum Place {
    /// A whole part between dots, anywhere.
    case part
    /// The beginning of a part, anywhere.
    case start
    /// Anywhere in the name.
    case anywhere
    /// The last part, which names the module.
    case module
    /// Anywhere in the last two parts: DBRX has its attention in a `norm_attn_norm`.
    case end
  }

  /// What is no linear layer of a language block, with who uses the name.
  private static let others: [(place: Place, word: String)] = [
    // Routers and gates of experts.
    (.part, "gate"),  // Mixtral, Qwen MoE, DeepSeek, GLM, Ernie (`mlp.gate`); Hunyuan (`gate.wg`)
    (.part, "wg"),  // Hunyuan
    (.anywhere, "router"),  // Llama 4, gpt-oss, Granite MoE, DBRX, Jamba, Switch
    (.anywhere, "shared_expert_gate"),  // Qwen 2 MoE, Qwen 3 Next
    (.start, "ffn_gate_inp"),  // folders with llama.cpp's names
    // What is seen and heard, and what brings it to the width of the language model.
    (.anywhere, "vision"),  // Llama 4, Gemma 3, Pixtral, LLaVA (`vision_tower`, `vision_model`, `embed_vision`)
    (.anywhere, "visual"),  // Qwen VL, GLM-V
    (.anywhere, "image"),  // Phi 3 vision, Chameleon
    (.anywhere, "video"),  // LLaVA-NeXT video
    (.anywhere, "audio"),  // Qwen Audio, Gemma 3n, Phi 4 multimodal
    (.anywhere, "speech"),  // Granite speech, Ultravox
    (.start, "img_"),  // Phi 3 vision (`img_processor`, `img_projection`)
    (.part, "vpm"), (.part, "apm"), (.part, "tts"),  // MiniCPM-V and -o
    (.part, "vit"), (.part, "sam_model"),  // Molmo, DeepSeek-OCR
    (.anywhere, "projector"),  // LLaVA, Mistral 3, InternVL (`multi_modal_projector`, `mm_projector`)
    (.part, "mm"), (.start, "mm_"),  // LLaVA's first versions, llama.cpp's names
    (.anywhere, "connector"),  // Idefics, SmolVLM
    (.anywhere, "merger"),  // Qwen VL
    (.anywhere, "resampler"),  // MiniCPM-V, Idefics 2
    (.anywhere, "perceiver"),  // Idefics, Flamingo
    (.part, "aligner"),  // Janus
    (.part, "token2wav"), (.part, "code2wav"),  // Qwen Omni
    (.anywhere, "codebook"), (.anywhere, "quantizer"),  // tables of audio codes
    // Layers that predict several tokens: what joins their two inputs, and their own output matrix.
    (.module, "eh_proj"),  // DeepSeek V3, GLM 4
    (.part, "shared_head"),  // the same
    (.start, "medusa"), (.start, "hydra"), (.start, "eagle"),  // heads that were trained for speculative decoding
    (.part, "mtp_proj"), (.module, "fc"),  // MiMo (`mtp.fc`), EAGLE: what joins two inputs
    // Tables, norms and output matrices.
    (.end, "norm"), (.anywhere, "embed"), (.anywhere, "position"),
    (.start, "ln_"), (.start, "pos_"), (.start, "rel_"), (.anywhere, "relative"), (.anywhere, "rotary"),  // GPT-2, ViT, T5
    (.anywhere, "lm_head"), (.part, "score"), (.part, "classifier"),  // output matrices of several kinds
    (.part, "wte"), (.part, "wpe"),  // GPT-2
    // Convolutions.
    (.anywhere, "conv"),  // Mamba, LFM2, Qwen 3 Next
    // State spaces and linear attention: small matrices from which decays and steps are computed. `in_proj` and `out_proj` are layers.
    (.module, "x_proj"), (.module, "dt_proj"), (.module, "ssm_x"), (.module, "ssm_dt"),  // Mamba, Jamba
    (.module, "bcdt_proj"),  // Plamo 2
    (.module, "in_proj_ba"), (.module, "in_proj_a"), (.module, "in_proj_b"),  // Qwen 3 Next, Qwen 3.5
    (.module, "a_proj"), (.module, "b_proj"),  // gated delta nets
    (.module, "f_a_proj"), (.module, "f_b_proj"), (.module, "g_a_proj"), (.module, "g_b_proj"),  // Kimi Linear
    (.start, "time_"), (.anywhere, "lora"),  // RWKV
    // Weights of heads from which tokens to attend to are chosen.
    (.module, "weights_proj"),  // DeepSeek V3.2
    // Gemma 3n's small matrices beside the blocks.
    (.anywhere, "altup"), (.anywhere, "laurel"), (.anywhere, "per_layer"),
  ]

  /// A tensor outside of any numbered block, as embeddings and output matrices are in every container, is none. Nor is one with a single
  /// row, or with a row for each expert.
  /// - Parameter configuration: says how many experts there are; nil: it is not known.
  static func isLinear(_ name: String, shape: [Int], configuration: Configuration?) -> Bool {
    guard shape.count == 2, shape[0] > 1 else { return false }
    let parts = name.lowercased().split(separator: ".")
    guard parts.last == "weight", parts.contains(where: { Int($0) != nil }), let module = parts.dropLast().last else { return false }
    guard !others.contains(where: { matches($0, parts.dropLast(), module: module) }) else { return false }
    return module.contains("proj") || !expertCounts(configuration).contains(shape[0])
  }

  private static func matches(_ other: (place: Place, word: String), _ parts: ArraySlice<Substring>, module: Substring) -> Bool {
    switch other.place {
    case .part: parts.contains { $0 == other.word }
    case .start: parts.contains { $0.hasPrefix(other.word) }
    case .anywhere: parts.contains { $0.contains(other.word) }
    case .module: module == other.word
    case .end: parts.suffix(2).contains { $0.contains(other.word) }
    }
  }

  /// Numbers of experts that a configuration, or the part of it about text, states.
  private static func expertCounts(_ configuration: Configuration?) -> Set<Int> {
    guard let json = configuration?.json else { return [] }
    let keys = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts"]
    return Set([json, json["text_config"]].compactMap { $0 }.flatMap { part in keys.compactMap { part[$0]?.intValue } }.filter { $0 > 1 })
  }
}
