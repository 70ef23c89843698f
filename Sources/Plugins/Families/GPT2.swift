public import QuantCore

/// GPT-2.
///
/// The traps: a Hugging Face folder holds the matrices of the blocks as `[in, out]`, with queries, keys and values side by
/// side in one; and it may hold masks that are no weights.
public enum GPT2: ModelFamily {
  /// What people type.
  public static let id = "gpt2"
  /// One sentence for lists.
  public static let summary = "GPT-2, all sizes"
  /// Report.
  public static let reference = "https://github.com/openai/gpt-2"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["gpt2"] : ["GPT2LMHeadModel"] }

  private static let decoder = LayerNormDecoder(
    family: id, ggufArchitecture: "gpt2", prefixes: ["transformer.", ""], blocks: "h",
    outer: [
      (.tokenEmbedding, "wte", "token_embd"), (.positionEmbedding, "wpe", "position_embd"), (.outputNorm, "ln_f", "output_norm"),
    ],
    inner: [
      (.attentionNorm, "ln_1", "attn_norm"), (.query, "attn.c_attn", "attn_qkv"), (.key, "attn.c_attn", "attn_qkv"),
      (.value, "attn.c_attn", "attn_qkv"), (.attentionOutput, "attn.c_proj", "attn_output"), (.feedForwardNorm, "ln_2", "ffn_norm"),
      (.up, "mlp.c_fc", "ffn_up"), (.down, "mlp.c_proj", "ffn_down"),
    ], projections: .concatenated, isTransposed: true)

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var p = try keys.layerNormParameters(
      hidden: ["n_embd", "hidden_size"], blocks: ["n_layer", "num_hidden_layers"], heads: ["n_head", "num_attention_heads"],
      epsilon: epsilon, tensors: tensors)
    p.feedForwardSize = try keys.size("n_inner", "feed_forward_length") ?? 4 * p.hiddenSize
    p.contextLength = try keys.positiveSize(["n_positions", "max_position_embeddings", "n_ctx"], "context_length")
    p.positions = .learned(offset: 0)
    p.activation = try keys.activation("activation_function", default: "gelu_new")
    try keys.refuse("scale_attn_weights", when: false, "attention scores without a scale are not supported")
    try keys.refuse("scale_attn_by_inverse_layer_idx", when: true, "attention scores scaled by block are not supported")
    try keys.refuse("add_cross_attention", when: true, "attention to an encoder is not supported")
    p.vocabularySize = try keys.vocabularySize(
      tensors["transformer.wte.weight"] ?? tensors["wte.weight"] ?? tensors["token_embd.weight"])

    var decoder = decoder
    // llama.cpp has this one activation for the architecture.
    if p.activation != .geluTanh { decoder.ggufArchitecture = nil }
    var model = try decoder.describe(p, tensors: tensors)
    if p.activation == .geluTanh {
      model.huggingFaceConfiguration = .object([
        .init("architectures", .array([.string("GPT2LMHeadModel")])), .init("model_type", .string("gpt2")),
        .init("n_embd", .int(p.hiddenSize)), .init("n_layer", .int(p.blockCount)), .init("n_head", .int(p.headCount)),
        .init("n_inner", .int(p.feedForwardSize)), .init("n_positions", .int(p.contextLength)), .init("n_ctx", .int(p.contextLength)),
        .init("vocab_size", .int(p.vocabularySize)), .init("activation_function", .string("gelu_new")),
        .init("layer_norm_epsilon", .shortest(p.normEpsilon)), .init("tie_word_embeddings", .bool(p.tiesEmbeddings)),
      ])
    }
    return model
  }
}
