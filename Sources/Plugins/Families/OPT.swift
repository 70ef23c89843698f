import FamilyKit
public import QuantCore

/// OPT and models that share its code (Galactica).
///
/// The traps: the table of positions begins with two rows that no token uses; the 350m model has its norms after the
/// residual additions, no norm after the last block, and embeddings narrower than the blocks.
public enum OPT: ModelFamily {
  /// Id of the family.
  public static let id = "opt"
  /// One sentence for lists.
  public static let summary = "OPT, all sizes; not supported by llama.cpp"
  /// Paper.
  public static let reference = "arXiv:2205.01068"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["OPTForCausalLM"] }

  private static let decoder = LayerNormDecoder(
    family: id, prefixes: ["model.decoder.", "decoder."],
    names: TensorNames(
      front: [
        TensorName(.tokenEmbedding, "embed_tokens", nil), TensorName(.positionEmbedding, "embed_positions", nil),
        TensorName(.inputProjection, "project_in", nil),
      ],
      block: [
        TensorName(.attentionNorm, "self_attn_layer_norm", nil), TensorName(.query, "self_attn.q_proj", nil),
        TensorName(.key, "self_attn.k_proj", nil), TensorName(.value, "self_attn.v_proj", nil),
        TensorName(.attentionOutput, "self_attn.out_proj", nil), TensorName(.feedForwardNorm, "final_layer_norm", nil),
        TensorName(.up, "fc1", nil), TensorName(.down, "fc2", nil),
      ],
      back: [
        TensorName(.outputNorm, "final_layer_norm", nil), TensorName(.outputProjection, "project_out", nil),
        TensorName(.output, .outside("lm_head"), nil),
      ]))

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], epsilon: 1e-5, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize("ffn_dim", "")
    n.contextLength = try keys.positiveSize("max_position_embeddings", "")
    var variant = LayerNormDecoder.Variant()
    variant.positionOffset = 2
    variant.activation = try keys.activation("activation_function", default: "relu")
    variant.hasNormsOverSums = !(keys.json("do_layer_norm_before")?.boolValue ?? true)
    try keys.refuse("layer_norm_elementwise_affine", when: false, "norms without gains are not supported")
    let width = try keys.size("word_embed_proj_dim", "") ?? n.hiddenSize
    if width != n.hiddenSize { variant.embeddingSize = width }
    n.vocabularySize = try keys.vocabularySize(
      tensors["model.decoder.embed_tokens.weight"] ?? tensors["decoder.embed_tokens.weight"])

    var decoder = decoder
    decoder.hasBiases = keys.json("enable_bias")?.boolValue ?? true
    variant.hasOutputNorm = !variant.hasNormsOverSums && !(keys.json("_remove_final_layer_norm")?.boolValue ?? false)
    return try decoder.describe(n, variant, tensors: tensors)
  }
}
