import FamilyKit
public import QuantCore

/// OLMo 1: Llama with layer norms that have neither gains nor biases.
///
/// The trap: some versions clamp queries, keys and values.
public enum Olmo: ModelFamily {
  /// Id of the family.
  public static let id = "olmo"
  /// One sentence for lists.
  public static let summary = "OLMo 1, all sizes in the format of transformers"
  /// Paper.
  public static let reference = "arXiv:2402.00838"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["olmo"] : ["OlmoForCausalLM"] }

  /// What the class of transformers adds to the variance.
  private static let epsilon = 1e-5

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var read = try keys.llamaNumbers(epsilon: epsilon, tensors: tensors)
    read.normEpsilon = try keys.isStored ? keys.number("", "attention.layer_norm_epsilon") ?? epsilon : epsilon
    let n = read
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name])
    let clip = try keys.clip("clip_qkv", "attention.clamp_kqv")
    try keys.refuse("attention_bias", when: true, "attention biases are not supported")
    func norm(_ role: TensorRole) -> Norm { Norm(role, .layer, epsilon: n.normEpsilon, hasGain: false) }
    var attention = n.attention(rope: rope)
    attention.clip = clip.map { Float($0) }
    let branches = [Branch(norm: norm(.attentionNorm), attention), Branch(norm: norm(.feedForwardNorm), n.feedForward())]
    var decoder = Decoder(family: id, numbers: n, norm: norm(.outputNorm)) { _ in branches }
    decoder.names = .llamaInPairs
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    model.obstacles[.gguf] = n.obstacle("olmo", rope: rope)
    if Float(n.normEpsilon) == Float(epsilon), model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("olmo")
      stored.setCommon(n, rope: rope, layerNorms: true, statesHeadSize: n.statesHeadSize)
      if let clip { stored.set("attention.clamp_kqv", clip) }
      stored.keepLast("attention.layer_norm_epsilon", "attention.clamp_kqv")
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("OlmoForCausalLM", modelType: "olmo")
    guard Float(n.normEpsilon) == Float(epsilon), n.headsFillWidth, stated.setCommon(n, rope: rope, statesHeadSize: false) else {
      return model
    }
    stated.set("clip_qkv", clip.map { .shortest($0) } ?? .null)
    stated.set("attention_bias", false)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
