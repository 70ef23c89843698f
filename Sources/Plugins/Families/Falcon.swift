import FamilyKit
public import QuantCore

/// Falcon: attention and feed-forward network read the same hidden states, through one norm (7B with one key-value head, 11B with several)
/// or through two (40B, 180B); no biases.
///
/// The traps: a folder holds the queries of a key-value head, then its key and value, head after head; and of the two norms, the one that a
/// GGUF calls `attn_norm` is that of the feed-forward network. The first small models (RW) scale biases by distance and are refused.
public enum Falcon: ModelFamily {
  /// Id of the family.
  public static let id = "falcon"
  /// One sentence for lists.
  public static let summary = "Falcon 7B, 11B, 40B and 180B"
  /// Paper.
  public static let reference = "arXiv:2311.16867"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["falcon"] : ["FalconForCausalLM"] }

  private static let fused = NamedPlace("self_attention.query_key_value").ordered(.headsByTurns)
  private static func decoder(hasTwoNorms: Bool) -> LayerNormDecoder {
    LayerNormDecoder(
      family: id, ggufArchitecture: "falcon", prefixes: ["transformer.", ""],
      names: TensorNames(
        front: [TensorName(.tokenEmbedding, "word_embeddings", "token_embd")],
        block: [
          hasTwoNorms
            ? TensorName(.attentionNorm, "ln_attn", "attn_norm_2") : TensorName(.attentionNorm, "input_layernorm", "attn_norm"),
          TensorName(.feedForwardNorm, "ln_mlp", "attn_norm"),
          TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
          TensorName(.attentionOutput, "self_attention.dense", "attn_output"),
          TensorName(.up, "mlp.dense_h_to_4h", "ffn_up"), TensorName(.down, "mlp.dense_4h_to_h", "ffn_down"),
        ],
        back: [TensorName(.outputNorm, "ln_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
        blockPrefixes: [.huggingFace: "h.*.", .gguf: "blk.*."]))
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    try keys.refuse("alibi", when: true, "biases of attention scores by distance are not supported")
    try keys.refuse("parallel_attn", when: false, "branches that follow each other are not supported")
    try keys.refuse("bias", when: true, "biases are not supported")
    // The earlier blocks have one key-value head, whatever else the configuration states, or as many as query heads.
    let isLater = keys.json("new_decoder_architecture")?.boolValue ?? false
    let hasOneGroup = !keys.isStored && !isLater && keys.json("multi_query")?.boolValue ?? true
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size", "n_embed"], blocks: ["num_hidden_layers", "n_layer"], heads: ["num_attention_heads", "n_head"],
      keyValueHeads: isLater ? keys.json("num_kv_heads") == nil ? "n_head_kv" : "num_kv_heads" : "", epsilon: epsilon, tensors: tensors)
    if hasOneGroup { n.keyValueHeadCount = 1 }
    n.feedForwardSize = try keys.size("ffn_hidden_size", "feed_forward_length") ?? 4 * n.hiddenSize
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 2048
    let embedding =
      ["transformer.word_embeddings.weight", "word_embeddings.weight", "token_embd.weight"].first { tensors[$0] != nil } ?? ""
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: true, tensors, embedding: embedding)
    n.vocabularySize = try keys.vocabularySize(tensors[embedding])
    let norms = try keys.size("num_ln_in_parallel_attn", "") ?? (isLater ? 2 : 1)
    let hasTwoNorms = keys.isStored ? tensors["blk.0.attn_norm_2.weight"] != nil : norms == 2
    guard isLater || !hasTwoNorms || keys.isStored else { throw keys.bad("num_ln_in_parallel_attn", "is 2, but the blocks have one norm") }
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: nil)
    var variant = LayerNormDecoder.Variant()
    variant.activation = try keys.activation("activation", default: "gelu")
    (variant.rope, variant.isParallel, variant.sharesNorm) = (rope, true, !hasTwoNorms)
    var decoder = decoder(hasTwoNorms: hasTwoNorms)
    decoder.hasBiases = false
    var model = try decoder.describe(n, variant, tensors: tensors)

    var stored = GGUFKeys("falcon")
    stored.order = ["context_length", "tensor_data_layout", "embedding_length", "feed_forward_length", "block_count"]
    stored.setCommon(n, rope: rope, assumedTheta: 10000, layerNorms: true, statesHeadSize: false)
    stored.set("tensor_data_layout", .string("jploski"))
    model.configurations[.gguf] = stored.configuration
    if let obstacle = n.obstacle("falcon", rope: rope, variant.activation, known: .gelu) {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = obstacle
    }
    guard variant.activation == .gelu, let scaling = rope.huggingFaceScaling else { return model }
    var stated = HuggingFaceKeys("FalconForCausalLM", modelType: "falcon")
    for (key, value) in [
      ("hidden_size", n.hiddenSize), ("ffn_hidden_size", n.feedForwardSize), ("num_hidden_layers", n.blockCount),
      ("num_attention_heads", n.headCount), ("num_kv_heads", n.keyValueHeadCount), ("num_ln_in_parallel_attn", hasTwoNorms ? 2 : 1),
      ("max_position_embeddings", n.contextLength), ("vocab_size", n.vocabularySize),
    ] { stated.set(key, value) }
    // The later blocks include the earlier ones; clients recognise the latter by the older keys.
    let isEarlier = n.keyValueHeadCount == 1 && !hasTwoNorms
    for (key, value) in [
      ("new_decoder_architecture", !isEarlier), ("multi_query", isEarlier), ("parallel_attn", true), ("bias", false), ("alibi", false),
      ("tie_word_embeddings", n.tiesEmbeddings),
    ] { stated.set(key, value) }
    stated.set("layer_norm_epsilon", n.normEpsilon)
    stated.set("rope_theta", rope.theta)
    stated.set("rope_scaling", scaling)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
