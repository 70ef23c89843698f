import FamilyKit
public import QuantCore

/// StarCoder2: layer norms, biases everywhere, rotary embedding, grouped heads, and a feed-forward network without a gate.
///
/// The trap: published models have an attention window, for which a GGUF has no key.
public enum StarCoder2: ModelFamily {
  /// Id of the family.
  public static let id = "starcoder2"
  /// One sentence for lists.
  public static let summary = "StarCoder2, all sizes"
  /// Paper.
  public static let reference = "arXiv:2402.19173"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["starcoder2"] : ["Starcoder2ForCausalLM"] }

  private static let decoder: LayerNormDecoder = {
    var names = TensorNames.llama
    names.rename(TensorName(.up, "mlp.c_fc", "ffn_up"), TensorName(.down, "mlp.c_proj", "ffn_down"))
    return LayerNormDecoder(family: id, ggufArchitecture: "starcoder2", prefixes: ["model."], names: names)
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let epsilon = try keys.number("norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], keyValueHeads: "num_key_value_heads",
      epsilon: epsilon, tensors: tensors)
    n.statesHeadSize = keys.json("head_dim") != nil || keys.metadata("attention.key_length") != nil
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 4096
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: true, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    var variant = LayerNormDecoder.Variant()
    variant.activation = try keys.activation("hidden_act", default: "gelu_pytorch_tanh")
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: nil)
    (variant.rope, variant.window) = (rope, try keys.window())
    var decoder = decoder
    decoder.hasBiases = keys.json("use_bias")?.boolValue ?? true
    var model = try decoder.describe(n, variant, tensors: tensors)

    if let obstacle = n.obstacle("starcoder2", rope: rope, variant.activation, known: .geluTanh, lacksBiases: !decoder.hasBiases) {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = obstacle
    }
    if let window = variant.window, window < n.contextLength {
      model.cautions[.gguf] = ["a GGUF has no key for the attention window of \(window) tokens: llama.cpp attends to all of a longer text"]
    }
    var stated = HuggingFaceKeys("Starcoder2ForCausalLM", modelType: "starcoder2")
    if variant.activation == .geluTanh,
      stated.setCommon(n, rope: rope, activation: "gelu_pytorch_tanh", normEpsilon: "norm_epsilon", statesHeadSize: false)
    {
      stated.set("use_bias", decoder.hasBiases)
      stated.set("sliding_window", variant.window.map { .int($0) } ?? .null)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
