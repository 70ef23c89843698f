public import QuantCore

/// OPT and models that share its code (Galactica).
///
/// The traps: the table of positions begins with two rows that no token uses; the 350m model has its norms behind the
/// residual additions, no norm behind the last block, and embeddings narrower than the blocks.
public enum OPT: ModelFamily {
  /// What people type.
  public static let id = "opt"
  /// One sentence for lists.
  public static let summary = "OPT, all sizes; llama.cpp does not know it"
  /// Paper.
  public static let reference = "arXiv:2205.01068"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["OPTForCausalLM"] }

  private static let decoder = LayerNormDecoder(
    family: id, prefixes: ["model.decoder.", "decoder."], blocks: "layers",
    outer: [
      (.tokenEmbedding, "embed_tokens", nil), (.positionEmbedding, "embed_positions", nil), (.inputProjection, "project_in", nil),
      (.outputNorm, "final_layer_norm", nil), (.outputProjection, "project_out", nil),
    ],
    inner: [
      (.attentionNorm, "self_attn_layer_norm", nil), (.query, "self_attn.q_proj", nil), (.key, "self_attn.k_proj", nil),
      (.value, "self_attn.v_proj", nil), (.attentionOutput, "self_attn.out_proj", nil), (.feedForwardNorm, "final_layer_norm", nil),
      (.up, "fc1", nil), (.down, "fc2", nil),
    ])

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var p = try keys.layerNormParameters(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], epsilon: 1e-5, tensors: tensors)
    p.feedForwardSize = try keys.positiveSize("ffn_dim", "")
    p.contextLength = try keys.positiveSize("max_position_embeddings", "")
    p.positions = .learned(offset: 2)
    p.activation = try keys.activation("activation_function", default: "relu")
    p.normPlacement = keys.json("do_layer_norm_before")?.boolValue ?? true ? .before : .after
    try keys.refuse("layer_norm_elementwise_affine", when: false, "norms without gains are not supported")
    let width = try keys.size("word_embed_proj_dim", "") ?? p.hiddenSize
    if width != p.hiddenSize { p.embeddingSize = width }
    p.vocabularySize = try keys.vocabularySize(
      tensors["model.decoder.embed_tokens.weight"] ?? tensors["decoder.embed_tokens.weight"])

    var decoder = decoder
    decoder.hasBiases = keys.json("enable_bias")?.boolValue ?? true
    let hasFinalNorm = p.normPlacement == .before && !(keys.json("_remove_final_layer_norm")?.boolValue ?? false)
    decoder.outer.removeAll { name in
      switch name.role {
      case .inputProjection, .outputProjection: p.embeddingSize == nil
      case .outputNorm: !hasFinalNorm
      default: false
      }
    }
    return try decoder.describe(p, tensors: tensors)
  }
}
