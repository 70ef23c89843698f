import FamilyKit
public import QuantCore

/// GPT-2.
///
/// The traps: a Hugging Face folder holds the matrices of the blocks as `[in, out]`, with queries, keys and values side by
/// side in one matrix; and it may hold masks, which are not weights.
public enum GPT2: ModelFamily {
  /// Id of the family.
  public static let id = "gpt2"
  /// One sentence for lists.
  public static let summary = "GPT-2, all sizes"
  /// Report.
  public static let reference = "https://github.com/openai/gpt-2"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["gpt2"] : ["GPT2LMHeadModel"] }

  private static let decoder = LayerNormDecoder(
    family: id, ggufArchitecture: "gpt2", prefixes: ["transformer.", ""],
    names: TensorNames(
      front: [TensorName(.tokenEmbedding, "wte", "token_embd"), TensorName(.positionEmbedding, "wpe", "position_embd")],
      block: [
        TensorName(.attentionNorm, "ln_1", "attn_norm"),
        TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
        TensorName(.attentionOutput, NamedPlace("attn.c_proj").transposed, "attn_output"),
        TensorName(.feedForwardNorm, "ln_2", "ffn_norm"),
        TensorName(.up, NamedPlace("mlp.c_fc").transposed, "ffn_up"), TensorName(.down, NamedPlace("mlp.c_proj").transposed, "ffn_down"),
      ],
      back: [TensorName(.outputNorm, "ln_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
      blockPrefixes: [.huggingFace: "h.*.", .gguf: "blk.*."]))
  private static let fused = NamedPlace("attn.c_attn").transposed

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["n_embd", "hidden_size"], blocks: ["n_layer", "num_hidden_layers"], heads: ["n_head", "num_attention_heads"],
      epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = try keys.size("n_inner", "feed_forward_length") ?? 4 * n.hiddenSize
    n.contextLength = try keys.positiveSize(["n_positions", "max_position_embeddings", "n_ctx"], "context_length")
    var variant = LayerNormDecoder.Variant()
    variant.positionOffset = 0
    variant.activation = try keys.activation("activation_function", default: "gelu_new")
    try keys.refuse("scale_attn_weights", when: false, "unscaled attention scores are not supported")
    try keys.refuse("scale_attn_by_inverse_layer_idx", when: true, "attention scores scaled by the block's index are not supported")
    try keys.refuse("add_cross_attention", when: true, "cross-attention is not supported")
    n.vocabularySize = try keys.vocabularySize(
      tensors["transformer.wte.weight"] ?? tensors["wte.weight"] ?? tensors["token_embd.weight"])

    var decoder = decoder
    decoder.statesKeyValueHeads = false
    // llama.cpp has only this activation for the architecture.
    if variant.activation != .geluTanh { decoder.ggufArchitecture = nil }
    var model = try decoder.describe(n, variant, tensors: tensors)
    if variant.activation == .geluTanh {
      model.configurations[.huggingFace] = .huggingFace(
        .object([
          .init("architectures", .array([.string("GPT2LMHeadModel")])), .init("model_type", .string("gpt2")),
          .init("n_embd", .int(n.hiddenSize)), .init("n_layer", .int(n.blockCount)), .init("n_head", .int(n.headCount)),
          .init("n_inner", .int(n.feedForwardSize)), .init("n_positions", .int(n.contextLength)), .init("n_ctx", .int(n.contextLength)),
          .init("vocab_size", .int(n.vocabularySize)), .init("activation_function", .string("gelu_new")),
          .init("layer_norm_epsilon", .shortest(n.normEpsilon)), .init("tie_word_embeddings", .bool(n.tiesEmbeddings)),
        ]))
    }
    return model
  }
}
