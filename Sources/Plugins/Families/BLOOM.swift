import FamilyKit
public import QuantCore

/// BLOOM: positions enter as biases of the attention scores that decrease with distance, and embeddings are normalised.
///
/// The trap: a Hugging Face folder holds query, key and value of each head side by side in one matrix; a GGUF holds all queries
/// before all keys before all values.
public enum BLOOM: ModelFamily {
  /// Id of the family.
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
    family: id, ggufArchitecture: "bloom", prefixes: ["transformer.", ""],
    names: TensorNames(
      front: [
        TensorName(.tokenEmbedding, "word_embeddings", "token_embd"),
        TensorName(.embeddingNorm, "word_embeddings_layernorm", "token_embd_norm"),
      ],
      block: [
        TensorName(.attentionNorm, "input_layernorm", "attn_norm"),
        TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
        TensorName(.attentionOutput, "self_attention.dense", "attn_output"),
        TensorName(.feedForwardNorm, "post_attention_layernorm", "ffn_norm"),
        TensorName(.up, "mlp.dense_h_to_4h", "ffn_up"), TensorName(.down, "mlp.dense_4h_to_h", "ffn_down"),
      ],
      back: [TensorName(.outputNorm, "ln_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
      blockPrefixes: [.huggingFace: "h.*.", .gguf: "blk.*."]))
  private static let fused = NamedPlace("self_attention.query_key_value").ordered(.headsByTurns)
  /// Tokens of a training sequence if the configuration does not state them: those of all published models.
  private static let trainedLength = 2048

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size", "n_embed"], blocks: ["n_layer", "num_hidden_layers"], heads: ["n_head", "num_attention_heads"],
      epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = 4 * n.hiddenSize
    n.contextLength = try keys.size("seq_length", "context_length") ?? trainedLength
    var variant = LayerNormDecoder.Variant()
    variant.hasLinearBias = true
    variant.activation = .geluTanh
    variant.normalisesEmbedding = true
    let keepsNormedResidual = keys.json("apply_residual_connection_post_layernorm")?.boolValue ?? false
    variant.residual = keepsNormedResidual ? .normed : .input
    n.vocabularySize = try keys.vocabularySize(
      tensors["transformer.word_embeddings.weight"] ?? tensors["word_embeddings.weight"] ?? tensors["token_embd.weight"])

    var decoder = decoder
    // llama.cpp always adds a branch to the input of its norm.
    if keepsNormedResidual { decoder.ggufArchitecture = nil }
    var model = try decoder.describe(n, variant, tensors: tensors)
    model.configurations[.huggingFace] = .huggingFace(
      .object([
        .init("architectures", .array([.string("BloomForCausalLM")])), .init("model_type", .string("bloom")),
        .init("hidden_size", .int(n.hiddenSize)), .init("n_layer", .int(n.blockCount)), .init("n_head", .int(n.headCount)),
        .init("seq_length", .int(n.contextLength)), .init("vocab_size", .int(n.vocabularySize)),
        .init("layer_norm_epsilon", .shortest(n.normEpsilon)),
        .init("apply_residual_connection_post_layernorm", .bool(keepsNormedResidual)),
        .init("tie_word_embeddings", .bool(n.tiesEmbeddings)),
      ]))
    return model
  }
}
