import FamilyKit
public import QuantCore

/// StableLM of 3 billion weights and StableLM 2 of 1.6: Llama with layer norms, perhaps biases of queries, keys and values, and a quarter
/// of each head rotated.
///
/// The trap: the model of 12 billion weights has a norm for each head, every one with a gain of its own; it is refused.
public enum StableLM: ModelFamily {
  /// Id of the family.
  public static let id = "stablelm"
  /// One sentence for lists.
  public static let summary = "StableLM 3B and StableLM 2 1.6B"
  /// Report.
  public static let reference = "arXiv:2402.17834"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["stablelm"] : ["StableLmForCausalLM"] }

  /// What the class of transformers assumes for the part of a head that is rotated.
  private static let share = 0.25

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], keyValueHeads: "num_key_value_heads",
      epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 4096
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "silu")
    if keys.json("qk_layernorm")?.boolValue == true || tensors["blk.0.attn_q_norm.weight"] != nil {
      throw keys.unsupported("model.variant", "norms of queries and keys with gains for each head are not supported")
    }
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: nil, mayBePartial: true, defaultShare: share)
    var variant = LayerNormDecoder.Variant()
    (variant.rope, variant.activation, variant.isGated) = (rope, .silu, true)
    // llama.cpp tells the two kinds of blocks apart by the second norm.
    variant.isParallel =
      keys.isStored ? tensors["blk.0.ffn_norm.weight"] == nil : keys.json("use_parallel_residual")?.boolValue ?? false
    variant.sharesNorm = variant.isParallel
    var decoder = LayerNormDecoder(family: id, ggufArchitecture: "stablelm", prefixes: ["model."], names: .llama)
    decoder.biased = [.query, .key, .value]
    decoder.hasBiases = keys.isStored ? tensors["blk.0.attn_q.bias"] != nil : keys.json("use_qkv_bias")?.boolValue ?? false
    var model = try decoder.describe(n, variant, tensors: tensors)

    var stored = GGUFKeys("stablelm")
    stored.order = ["context_length", "embedding_length", "block_count", "feed_forward_length", "rope.dimension_count"]
    stored.order += ["attention.head_count", "attention.head_count_kv", "use_parallel_residual", "attention.layer_norm_epsilon"]
    stored.setCommon(n, rope: rope, assumedTheta: 10000, layerNorms: true, statesHeadSize: false)
    stored.set("rope.dimension_count", rope.dimension)
    stored.set("use_parallel_residual", .bool(variant.isParallel))
    model.configurations[.gguf] = stored.configuration
    if let obstacle = n.obstacle("stablelm", rope: rope, needsOutput: true) {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = obstacle
    }
    var stated = HuggingFaceKeys("StableLmForCausalLM", modelType: "stablelm")
    if stated.setCommon(n, rope: rope, normEpsilon: "layer_norm_eps", statesHeadSize: false) {
      if rope.dimension == n.headSize { stated.set("partial_rotary_factor", 1) }
      stated.set("use_qkv_bias", decoder.hasBiases)
      stated.set("use_parallel_residual", variant.isParallel)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
