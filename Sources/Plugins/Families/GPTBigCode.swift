import FamilyKit
public import QuantCore

/// StarCoder and SantaCoder: GPT-2 whose query heads share one key-value head.
///
/// The traps: the matrices of a folder are not transposed, as those of GPT-2 are; and models without the shared head hold query, key and
/// value of each head side by side.
public enum GPTBigCode: ModelFamily {
  /// Id of the family.
  public static let id = "gpt-bigcode"
  /// One sentence for lists.
  public static let summary = "StarCoder and SantaCoder"
  /// Paper.
  public static let reference = "arXiv:2305.06161"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["starcoder"] : ["GPTBigCodeForCausalLM"] }

  private static let fused = NamedPlace("attn.c_attn").ordered(.headsByTurns)
  private static let decoder = LayerNormDecoder(
    family: id, ggufArchitecture: "starcoder", prefixes: ["transformer.", ""],
    names: TensorNames(
      front: [TensorName(.tokenEmbedding, "wte", "token_embd"), TensorName(.positionEmbedding, "wpe", "position_embd")],
      block: [
        TensorName(.attentionNorm, "ln_1", "attn_norm"),
        TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
        TensorName(.attentionOutput, "attn.c_proj", "attn_output"), TensorName(.feedForwardNorm, "ln_2", "ffn_norm"),
        TensorName(.up, "mlp.c_fc", "ffn_up"), TensorName(.down, "mlp.c_proj", "ffn_down"),
      ],
      back: [TensorName(.outputNorm, "ln_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
      blockPrefixes: [.huggingFace: "h.*.", .gguf: "blk.*."]))

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["n_embd", "hidden_size"], blocks: ["n_layer", "num_hidden_layers"], heads: ["n_head", "num_attention_heads"],
      epsilon: epsilon, tensors: tensors)
    if !keys.isStored, keys.json("multi_query")?.boolValue ?? true { n.keyValueHeadCount = 1 }
    n.feedForwardSize = try keys.size("n_inner", "feed_forward_length") ?? 4 * n.hiddenSize
    n.contextLength = try keys.positiveSize(["n_positions", "max_position_embeddings"], "context_length")
    n.vocabularySize = try keys.vocabularySize(
      tensors["transformer.wte.weight"] ?? tensors["wte.weight"] ?? tensors["token_embd.weight"])
    try keys.refuse("scale_attn_weights", when: false, "unscaled attention scores are not supported")
    try keys.refuse("add_cross_attention", when: true, "cross-attention is not supported")
    guard [1, n.headCount].contains(n.keyValueHeadCount) else {
      throw keys.unsupported("model.head-count", "\(n.keyValueHeadCount) key-value heads are not supported")
    }
    var variant = LayerNormDecoder.Variant()
    variant.positionOffset = 0
    variant.activation = try keys.activation("activation_function", default: "gelu_pytorch_tanh")
    var model = try decoder.describe(n, variant, tensors: tensors)

    guard variant.activation == .geluTanh else {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = "llama.cpp has another activation in 'starcoder' than this model"
      return model
    }
    var stored = GGUFKeys("starcoder")
    stored.order = ["context_length", "embedding_length", "feed_forward_length", "block_count"]
    stored.setCommon(n, rope: nil, layerNorms: true, statesHeadSize: false)
    model.configurations[.gguf] = stored.configuration
    var stated = HuggingFaceKeys("GPTBigCodeForCausalLM", modelType: "gpt_bigcode")
    for (key, value) in [
      ("n_embd", n.hiddenSize), ("n_layer", n.blockCount), ("n_head", n.headCount), ("n_inner", n.feedForwardSize),
      ("n_positions", n.contextLength), ("vocab_size", n.vocabularySize),
    ] { stated.set(key, value) }
    stated.set("activation_function", .string("gelu_pytorch_tanh"))
    stated.set("layer_norm_epsilon", n.normEpsilon)
    stated.set("multi_query", n.keyValueHeadCount == 1)
    stated.set("tie_word_embeddings", n.tiesEmbeddings)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
