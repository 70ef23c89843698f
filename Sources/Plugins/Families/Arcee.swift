import FamilyKit
public import QuantCore

/// Arcee's AFM: Llama with a feed-forward network without a gate, which squares the positive part.
///
/// The trap: a GGUF has rows of queries and keys in rotary pairs.
public enum Arcee: ModelFamily {
  /// Id of the family.
  public static let id = "arcee"
  /// One sentence for lists.
  public static let summary = "Arcee's foundation models (AFM) with dense feed-forward layers"
  /// Model card.
  public static let reference = "https://huggingface.co/arcee-ai/AFM-4.5B"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["arcee"] : ["ArceeForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, activation: "relu2", tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name], mayBeYarn: true)
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    let hasFeedForwardBiases = keys.hasBiases("mlp_bias", stored: "blk.0.ffn_up.bias", tensors)
    let branches = [
      Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: rope)),
      Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(.squaredRelu, isGated: false)),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in branches }
    decoder.names = .llamaInPairs
    decoder.bias = { $0.kind == .attention && hasBiases || $0.kind == .feedForward && hasFeedForwardBiases ? .always : .never }
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    if hasBiases || hasFeedForwardBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases in 'arcee', but this model has some"
    } else {
      var stored = GGUFKeys("arcee")
      stored.setCommon(n, rope: rope, statesHeadSize: true)
      stored.setRotation(n, rope)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("ArceeForCausalLM", modelType: "arcee")
    guard stated.setCommon(n, rope: rope, activation: "relu2", statesHeadSize: true) else { return model }
    stated.set("attention_bias", hasBiases)
    stated.set("mlp_bias", hasFeedForwardBiases)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
