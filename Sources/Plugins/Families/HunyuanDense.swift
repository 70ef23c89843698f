import FamilyKit
public import QuantCore
import QuantPlatform

/// Hunyuan, dense: every head of Q and K is rotated and then normalised.
///
/// The trap: a scaling of type `dynamic` with `alpha` is a larger base of the rotary embedding, `θ · alpha^(d / (d - 2))` for heads of
/// d dimensions; llama.cpp's converter states that base, and 256 thousand positions.
public enum HunyuanDense: ModelFamily {
  /// Id of the family.
  public static let id = "hunyuan"
  /// One sentence for lists.
  public static let summary = "Hunyuan with dense feed-forward layers"
  /// Report.
  public static let reference = "https://github.com/Tencent-Hunyuan/Hunyuan-7B"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["hunyuan-dense"] : ["HunYuanDenseV1ForCausalLM"] }

  static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.queryNorm, "self_attn.query_layernorm", "attn_q_norm"), TensorName(.keyNorm, "self_attn.key_layernorm", "attn_k_norm"))
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, tensors: tensors)
    let (rope, isEnlarged) = try rope(keys, n)
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention(n, rope)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no bias of the attention's output in 'hunyuan-dense', but this model has one"
    } else if let obstacle = rope.obstacle("hunyuan-dense") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("hunyuan-dense")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      if isEnlarged { setEnlarged(&stored) }
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("HunYuanDenseV1ForCausalLM", modelType: "hunyuan_v1_dense")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return model }
    stated.set("attention_bias", hasBiases)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  /// The attention of dense models and of mixtures.
  static func attention(_ n: DecoderNumbers, _ rope: Rope) -> Attention {
    var attention = n.attention(rope: rope)
    (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
    attention.rotatesBeforeNorms = true
    return attention
  }

  /// What llama.cpp's converter states for a model with an enlarged base.
  private static let enlargedContext = 256 << 10

  static func setEnlarged(_ stored: inout GGUFKeys) {
    stored.set("rope.scaling.type", .string("none"))
    stored.set("rope.scaling.factor", 1.0)
    stored.set("rope.scaling.original_context_length", enlargedContext)
    stored.set("context_length", enlargedContext)
  }

  static func rope(_ keys: ConfigurationKeys, _ n: DecoderNumbers) throws(Failure) -> (rope: Rope, isEnlarged: Bool) {
    let object = keys.json("rope_scaling") ?? keys.json("rope_parameters")
    guard let object, (object["rope_type"] ?? object["type"])?.stringValue == "dynamic", let alpha = object["alpha"], n.headSize > 2 else {
      return (try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil), false)
    }
    let base = try keys.positive((keys.json("rope_theta") ?? object["rope_theta"])?.doubleValue ?? 10_000, "rope_theta")
    let power = Double(n.headSize) / Double(n.headSize - 2)
    let theta = try keys.positive(base * pow(try keys.positive(alpha.doubleValue, "alpha"), power), "alpha")
    return (Rope(theta: theta, dimension: n.headSize), true)
  }
}
