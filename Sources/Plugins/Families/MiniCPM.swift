import FamilyKit
public import QuantCore

/// MiniCPM: Llama with factors of embeddings, branches and logits.
///
/// The traps: the factors of branches and logits follow from the number of blocks and from the width of a smaller model; the class is
/// not part of transformers, and ties embeddings unless a `config.json` says otherwise.
public enum MiniCPM: ModelFamily {
  /// Id of the family.
  public static let id = "minicpm"
  /// One sentence for lists.
  public static let summary = "MiniCPM 1, 2 and 4 with dense attention and feed-forward layers"
  /// Paper.
  public static let reference = "arXiv:2404.06395"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["minicpm"] : ["MiniCPMForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(ties: true, tensors: tensors)
    let rope = try keys.rope(
      headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name], longTables: tensors)
    for key in ["num_experts", "sparse_config"] where keys.json(key).map({ $0.intValue != 0 }) ?? false {
      throw keys.unsupported("model.variant", "a model with '\(key)' is not supported")
    }
    // Without a key, llama.cpp assumes the factors of the first models.
    let blocks = Double(n.blockCount).squareRoot(), width = Double(n.hiddenSize)
    let embedding = try keys.number("scale_emb", "embedding_scale") ?? (keys.isStored ? 12 : 1)
    let residual = try keys.isStored ? keys.number("", "residual_scale") ?? 1.4 / blocks : (keys.number("scale_depth", "") ?? 1) / blocks
    let logits = try keys.isStored ? keys.number("", "logit_scale") ?? 256 / width : width / (keys.number("dim_model_base", "") ?? 1)
    let branches = [
      Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: rope), scale: Float(residual)),
      Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(), scale: Float(residual)),
    ]
    try keys.refuse("attention_bias", when: true, "attention biases are not supported")
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in branches }
    decoder.names = .llamaInPairs
    decoder.embedding.scale = Float(embedding)
    decoder.head.scale = Float(1 / logits)
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    model.obstacles[.gguf] = obstacle(n, rope)
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("minicpm")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.set("embedding_scale", embedding)
      stored.set("residual_scale", residual)
      stored.set("logit_scale", logits)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("MiniCPMForCausalLM", modelType: "minicpm")
    guard n.headsFillWidth, stated.setCommon(n, rope: rope, statesHeadSize: false) else { return model }
    stated.set("scale_emb", embedding)
    stated.set("scale_depth", rounded(residual * blocks))
    stated.set("dim_model_base", rounded(width / logits))
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  private static func obstacle(_ n: DecoderNumbers, _ rope: Rope) -> String? {
    if case .long(let long) = rope.scaling, long.attentionFactor != 1 || long.originalContext != n.contextLength {
      return "llama.cpp has no key for LongRoPE's factor of attention in 'minicpm', but this model has one"
    }
    return n.headsFillWidth ? nil : "llama.cpp's converter assumes that heads of 'minicpm' divide the hidden size among them"
  }

  /// A number that a GGUF holds as the 32-bit result of a computation, as a configuration states it.
  private static func rounded(_ value: Double) -> Double {
    let rounded = (value * 10_000).rounded() / 10_000
    return abs(rounded - value) <= 1e-6 * value ? rounded : value
  }
}
