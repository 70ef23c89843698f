import FamilyKit
public import QuantCore

/// GPT-NeoX and models of the same class (Pythia, Dolly): attention and feed-forward network read the same hidden states, each through a
/// norm of its own, and a part of each head is rotated.
///
/// The traps: a folder holds query, key and value of each head side by side in one matrix, as BLOOM does; and transformers names the
/// rotated part differently from one version to the next.
public enum GPTNeoX: ModelFamily {
  /// Id of the family.
  public static let id = "gpt-neox"
  /// One sentence for lists.
  public static let summary = "GPT-NeoX and Pythia"
  /// Paper.
  public static let reference = "arXiv:2204.06745"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["gptneox"] : ["GPTNeoXForCausalLM"] }

  private static let decoder = LayerNormDecoder(
    family: id, ggufArchitecture: "gptneox", prefixes: ["gpt_neox.", ""],
    names: TensorNames(
      front: [TensorName(.tokenEmbedding, "embed_in", "token_embd")],
      block: [
        TensorName(.attentionNorm, "input_layernorm", "attn_norm"),
        TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
        TensorName(.attentionOutput, "attention.dense", "attn_output"),
        TensorName(.feedForwardNorm, "post_attention_layernorm", "ffn_norm"),
        TensorName(.up, "mlp.dense_h_to_4h", "ffn_up"), TensorName(.down, "mlp.dense_4h_to_h", "ffn_down"),
      ],
      back: [TensorName(.outputNorm, "final_layer_norm", "output_norm"), TensorName(.output, .outside("embed_out"), "output")]))
  private static let fused = NamedPlace("attention.query_key_value").ordered(.headsByTurns)
  /// What the class of transformers assumes for the part of a head that is rotated.
  private static let share = 0.25

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 2048
    n.vocabularySize = try keys.vocabularySize(
      tensors["gpt_neox.embed_in.weight"] ?? tensors["embed_in.weight"] ?? tensors["token_embd.weight"])
    n.tiesEmbeddings = try keys.tiesEmbeddings(
      default: false, tensors, output: "embed_out.weight", embedding: "gpt_neox.embed_in.weight")
    try keys.refuse("attention_bias", when: false, "attention without biases is not supported")
    var variant = LayerNormDecoder.Variant()
    variant.activation = try keys.activation("hidden_act", default: "gelu")
    let rope = try keys.rope(
      headSize: n.headSize, defaultTheta: 10000, factors: nil, mayBePartial: true, defaultShare: share,
      keys: ("rotary_emb_base", "rotary_pct"))
    variant.rope = rope
    variant.isParallel = (keys.json("use_parallel_residual")?.boolValue ?? keys.metadata("use_parallel_residual")?.boolValue) ?? true
    var model = try decoder.describe(n, variant, tensors: tensors)

    var stored = GGUFKeys("gptneox")
    stored.order = ["context_length", "embedding_length", "block_count", "feed_forward_length", "rope.dimension_count"]
    stored.order += ["attention.head_count", "use_parallel_residual", "attention.layer_norm_epsilon"]
    stored.setCommon(n, rope: rope, assumedTheta: 10000, layerNorms: true, statesKeyValueHeads: false, statesHeadSize: false)
    stored.set("rope.dimension_count", rope.dimension)
    stored.set("use_parallel_residual", .bool(variant.isParallel))
    model.configurations[.gguf] = stored.configuration
    if let obstacle = n.obstacle("gptneox", rope: rope, variant.activation, known: .gelu, needsOutput: true) {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = obstacle
    }
    var stated = HuggingFaceKeys("GPTNeoXForCausalLM", modelType: "gpt_neox")
    if variant.activation == .gelu,
      stated.setCommon(n, rope: rope, activation: "gelu", normEpsilon: "layer_norm_eps", statesHeadSize: false)
    {
      stated.set("rotary_pct", rope.share(ofHead: n.headSize) ?? 1)
      stated.set("rotary_emb_base", rope.theta)
      stated.set("use_parallel_residual", variant.isParallel)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
