import FamilyKit
public import QuantCore

/// Jais 2: Llama with layer norms, biases and a feed-forward network of squared ReLUs without a gate.
public enum Jais2: ModelFamily {
  /// Id of the family.
  public static let id = "jais2"
  /// One sentence for lists.
  public static let summary = "Jais 2, all sizes"
  /// Model cards.
  public static let reference = "https://huggingface.co/inceptionai"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["jais2"] : ["Jais2ForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    try keys.refuseActivations(otherThan: "relu2")
    var read = try keys.decoderNumbers(tensors: tensors)
    read.normEpsilon = try keys.number("layer_norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    read.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    read.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    let n = read
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 500_000, factors: tensors[RopeFactors.name])
    let hasBiases = keys.hasBiases("attention_bias", default: true, stored: "blk.0.attn_output.bias", tensors)
    let hasFeedForwardBiases = keys.hasBiases("mlp_bias", default: true, stored: "blk.0.ffn_up.bias", tensors)
    let branches = [
      Branch(norm: n.layerNorm(.attentionNorm), n.attention(rope: rope)),
      Branch(norm: n.layerNorm(.feedForwardNorm), n.feedForward(.squaredRelu, isGated: false)),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.layerNorm(.outputNorm)) { _ in branches }
    decoder.bias = { $0.kind == .attention && hasBiases || $0.kind == .feedForward && hasFeedForwardBiases ? .always : .never }
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    if hasBiases && hasFeedForwardBiases {
      model.obstacles[.gguf] = rope.scaling == .none ? nil : "llama.cpp scales no rotary embedding in 'jais2', but this model does"
    } else {
      model.obstacles[.gguf] = "llama.cpp needs biases of all linear layers in 'jais2', but this model lacks some"
    }
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("jais2")
      stored.setCommon(n, rope: rope, layerNorms: true, statesHeadSize: n.statesHeadSize)
      stored.set("rope.dimension_count", n.headSize)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Jais2ForCausalLM", modelType: "jais2")
    if stated.setCommon(
      n, rope: rope, activation: "relu2", normEpsilon: "layer_norm_eps", statesHeadSize: n.statesHeadSize || !n.headsFillWidth)
    {
      stated.set("attention_bias", hasBiases)
      stated.set("mlp_bias", hasFeedForwardBiases)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
