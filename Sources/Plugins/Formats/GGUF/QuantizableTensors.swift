import QuantCore

/// Which tensors llama.cpp allows to be quantized, by name and number of dimensions.
enum QuantizableTensors {
  /// Parts of names that are never quantized, with the models that have them.
  private static let excluded: [String] = [
    "_norm.weight",
    // Routers of experts, and a table of integers that routes by token.
    "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight",
    // Gemma 3n: very small.
    "altup_predict_coef", "altup_correct_coef",
    // Mamba, LFM2: short convolutions. MiniMax: a tiny index.
    "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight",
    // RWKV: small matrices of the time mixing.
    "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight",
    "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight",
    "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
    // T5: the bias of relative positions.
    "attn_rel_b.weight",
    // Vision and audio towers.
    ".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook",
    "mm.a.code_embd",
  ]
  /// The same, which are floats of the type that the whole model has: Gemma 3n's and 4's, not large enough to matter.
  private static let keptFloats = ["altup", "laurel", "per_layer_model_proj"]
  /// Matrices that may be quantized, but that llama.cpp's converter keeps as 32-bit floats among shorter ones: what weights the heads that
  /// choose tokens.
  private static let longFloats = ["indexer.proj"]
  /// Tables of positions and token types.
  private static let excludedNames: Set<String> = ["position_embd.weight", "token_types.weight"]

  /// What only one architecture keeps as it is.
  private static let excludedOf: [String: [String]] = [
    "glm5-next": [
      "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate", "indexer_compressor_ape",
      "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight", "ssm_g_b.weight", "ssm_beta.weight", "attn_kv_a_mqa.weight",
      "attn_k_b.weight", "attn_v_b.weight",
    ]
  ]

  static func contains(_ tensor: PresetTensor) -> Bool {
    let name = tensor.name
    var parts = excluded + keptFloats
    if let configuration = tensor.configuration, configuration.keyValues != nil, let architecture = configuration.architecture {
      parts += excludedOf[architecture] ?? []
    }
    // Outer dimensions of 1 do not count: ggml does not store them.
    return tensor.shape.drop { $0 == 1 }.count >= 2 && name.hasSuffix("weight") && !excludedNames.contains(name)
      && !parts.contains { name.hasPart($0) }
  }

  /// Whether a matrix that may be quantized is not stored as 16-bit floats.
  static func needsLongFloats(_ tensor: PresetTensor) -> Bool { longFloats.contains { tensor.name.hasPart($0) } }

  /// Whether a matrix that is not quantized may be of a type that is asked for the whole model, or stored.
  static func keepsFloats(_ tensor: PresetTensor) -> Bool {
    keptFloats.contains { tensor.name.hasPart($0) } && !excluded.contains { tensor.name.hasPart($0) }
  }
}
