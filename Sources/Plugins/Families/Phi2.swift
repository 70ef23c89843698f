import FamilyKit
public import QuantCore

/// Phi-1, 1.5 and 2: attention and feed-forward network read the same hidden states through one norm, and a part of each head is rotated.
///
/// The trap: every layer has a bias, the output matrix too.
public enum Phi2: ModelFamily {
  /// Id of the family.
  public static let id = "phi2"
  /// One sentence for lists.
  public static let summary = "Phi-1, Phi-1.5 and Phi-2"
  /// Report.
  public static let reference = "arXiv:2309.05463"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["phi2"] : ["PhiForCausalLM"] }

  private static let decoder: LayerNormDecoder = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.attentionOutput, "self_attn.dense", "attn_output"), TensorName(.up, "mlp.fc1", "ffn_up"),
      TensorName(.down, "mlp.fc2", "ffn_down"))
    names.back[0] = TensorName(.outputNorm, "final_layernorm", "output_norm")
    return LayerNormDecoder(family: id, ggufArchitecture: "phi2", prefixes: ["model."], names: names)
  }()
  /// What the class of transformers assumes for the part of a head that is rotated.
  private static let share = 0.5

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("layer_norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], keyValueHeads: "num_key_value_heads",
      epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 2048
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuse("qk_layernorm", when: true, "norms of queries and keys are not supported")
    var variant = LayerNormDecoder.Variant()
    variant.activation = try keys.activation("hidden_act", default: "gelu_new")
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: nil, mayBePartial: true, defaultShare: share)
    variant.rope = rope
    (variant.isParallel, variant.sharesNorm, variant.hasOutputBias) = (true, true, true)
    var model = try decoder.describe(n, variant, tensors: tensors)

    var stored = GGUFKeys("phi2")
    stored.order = ["context_length", "embedding_length", "feed_forward_length", "block_count", "attention.head_count"]
    stored.order += ["attention.head_count_kv", "attention.layer_norm_epsilon", "rope.dimension_count", "general.file_type"]
    stored.setCommon(n, rope: rope, assumedTheta: 10000, layerNorms: true, statesHeadSize: false)
    stored.set("rope.dimension_count", rope.dimension)
    stored.setNoBeginning()
    model.configurations[.gguf] = stored.configuration
    if let obstacle = n.obstacle("phi2", rope: rope, variant.activation, known: .geluTanh, needsOutput: true) {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = obstacle
    }
    var stated = HuggingFaceKeys("PhiForCausalLM", modelType: "phi")
    if variant.activation == .geluTanh,
      stated.setCommon(n, rope: rope, activation: "gelu_new", normEpsilon: "layer_norm_eps", statesHeadSize: false)
    {
      if rope.dimension == n.headSize { stated.set("partial_rotary_factor", 1) }
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
