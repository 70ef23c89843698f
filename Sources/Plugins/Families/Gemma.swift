import FamilyKit
public import QuantCore

/// Gemma 1: Llama with gated GELU, a wide head, and embeddings that are multiplied by the root of their width.
///
/// The traps: a folder stores `w` for gains of `1 + w`; a GGUF has no key for the base of the rotary embedding, nor for the form of GELU,
/// of which older configurations state the exact one although the models were trained with the other.
public enum Gemma: ModelFamily {
  /// Id of the family.
  public static let id = "gemma"
  /// One sentence for lists.
  public static let summary = "Gemma 1, all sizes"
  /// Report.
  public static let reference = "arXiv:2403.08295"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["gemma"] : ["GemmaForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try GemmaFacts(keys, tensors, activationKey: "hidden_act", generation: 1)
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: facts.rope)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(facts.activation)),
      ]
    }
    decoder.names = GemmaFacts.names(hasOutputNorms: false)
    decoder.bias = { $0.kind == .attention && facts.hasBiases ? .always : .never }
    decoder.embedding.scale = Float(n.hiddenSize).squareRoot()
    var model = try decoder.describe()
    model.obstacles[.gguf] = facts.obstacle("gemma")
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = facts.storedKeys("gemma").configuration }
    model.cautions[.gguf] = facts.cautions("gemma")
    var stated = HuggingFaceKeys("GemmaForCausalLM", modelType: "gemma")
    let activation = facts.activation == .gelu ? "gelu" : "gelu_pytorch_tanh"
    guard stated.setCommon(n, rope: facts.rope, activation: activation, statesHeadSize: true) else { return model }
    stated.set("hidden_activation", .string(activation))
    stated.set("attention_bias", facts.hasBiases)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
