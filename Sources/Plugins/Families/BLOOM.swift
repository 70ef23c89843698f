public import QuantCore

/// BLOOM: positions enter as biases of attention scores that fall with the distance, and embeddings are normalised.
///
/// The trap: a Hugging Face folder holds query, key and value of each head side by side in one matrix, a GGUF all queries
/// before all keys before all values.
public enum BLOOM: ModelFamily {
  /// What people type.
  public static let id = "bloom"
  /// One sentence for lists.
  public static let summary = "BLOOM and BLOOMZ, all sizes"
  /// Paper.
  public static let reference = "arXiv:2211.05100"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["bloom"] : ["BloomForCausalLM", "BloomModel"]
  }

  private static let decoder = LayerNormDecoder(
    family: id, ggufArchitecture: "bloom", prefixes: ["transformer.", ""], blocks: "h",
    outer: [
      (.tokenEmbedding, "word_embeddings", "token_embd"), (.embeddingNorm, "word_embeddings_layernorm", "token_embd_norm"),
      (.outputNorm, "ln_f", "output_norm"),
    ],
    inner: [
      (.attentionNorm, "input_layernorm", "attn_norm"), (.query, "self_attention.query_key_value", "attn_qkv"),
      (.key, "self_attention.query_key_value", "attn_qkv"), (.value, "self_attention.query_key_value", "attn_qkv"),
      (.attentionOutput, "self_attention.dense", "attn_output"), (.feedForwardNorm, "post_attention_layernorm", "ffn_norm"),
      (.up, "mlp.dense_h_to_4h", "ffn_up"), (.down, "mlp.dense_4h_to_h", "ffn_down"),
    ], projections: .interleaved)
  /// Tokens of a training sequence, where a configuration does not say: those of all published models.
  private static let trainedLength = 2048

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var p = try keys.layerNormParameters(
      hidden: ["hidden_size", "n_embed"], blocks: ["n_layer", "num_hidden_layers"], heads: ["n_head", "num_attention_heads"],
      epsilon: epsilon, tensors: tensors)
    p.feedForwardSize = 4 * p.hiddenSize
    p.contextLength = try keys.size("seq_length", "context_length") ?? trainedLength
    p.positions = .linearBias
    p.activation = .geluTanh
    p.keepsNormedResidual = keys.json("apply_residual_connection_post_layernorm")?.boolValue ?? false
    p.vocabularySize = try keys.vocabularySize(
      tensors["transformer.word_embeddings.weight"] ?? tensors["word_embeddings.weight"] ?? tensors["token_embd.weight"])

    var decoder = decoder
    // llama.cpp always carries the input of the norm on.
    if p.keepsNormedResidual { decoder.ggufArchitecture = nil }
    var model = try decoder.describe(p, tensors: tensors)
    model.huggingFaceConfiguration = .object([
      .init("architectures", .array([.string("BloomForCausalLM")])), .init("model_type", .string("bloom")),
      .init("hidden_size", .int(p.hiddenSize)), .init("n_layer", .int(p.blockCount)), .init("n_head", .int(p.headCount)),
      .init("seq_length", .int(p.contextLength)), .init("vocab_size", .int(p.vocabularySize)),
      .init("layer_norm_epsilon", .shortest(p.normEpsilon)),
      .init("apply_residual_connection_post_layernorm", .bool(p.keepsNormedResidual)),
      .init("tie_word_embeddings", .bool(p.tiesEmbeddings)),
    ])
    return model
  }
}
