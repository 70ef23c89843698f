import FamilyKit
public import QuantCore

/// OLMoE: a mixture of experts, and norms of queries and keys over all heads together.
///
/// The trap: the weights of the chosen experts are not divided by their sum unless `norm_topk_prob` says so, and never in llama.cpp.
public enum OLMoE: ModelFamily {
  /// Id of the family.
  public static let id = "olmoe"
  /// One sentence for lists.
  public static let summary = "OLMoE, a mixture of experts"
  /// Paper.
  public static let reference = "arXiv:2409.02060"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["olmoe"] : ["OlmoeForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    let experts = try keys.experts(count: keys.json("num_experts") == nil ? "num_local_experts" : "num_experts", blocks: n.blockCount)
    let isNormalised = keys.json("norm_topk_prob")?.boolValue ?? false
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    if keys.json("clip_qkv") != nil { throw keys.unsupported("model.variant", "clipped queries, keys and values are not supported") }
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      var attention = n.attention(rope: rope)
      (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
      (attention.queryNormSize, attention.keyNormSize) = (n.headCount * n.headSize, n.keyValueHeadCount * n.headSize)
      let routing = ExpertRouting(expertsPerToken: experts.used, weights: isNormalised ? .softmaxOfChosen : .softmax)
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention),
        Branch(
          norm: n.rootMeanSquareNorm(.feedForwardNorm), MixtureOfExperts(n.feedForward(), expertCount: experts.count, routing: routing)),
      ]
    }
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    var model = try decoder.describe()

    model.obstacles[.gguf] =
      if isNormalised {
        "llama.cpp never divides the weights of chosen experts by their sum in 'olmoe', but 'norm_topk_prob' of this model is true"
      } else if hasBiases {
        "llama.cpp has no bias of the attention's output in 'olmoe', but this model has one"
      } else if n.tiesEmbeddings {
        "llama.cpp needs an output matrix in 'olmoe', but this model ties its output to the embedding"
      } else if n.keyValueHeadCount != n.headCount || !n.headsFillWidth {
        "llama.cpp assumes that 'olmoe' has as many key-value heads as query heads, together as wide as the hidden states"
      } else {
        rope.obstacle("olmoe")
      }
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("olmoe")
      stored.setCommon(n, rope: rope, experts: experts, statesHeadSize: n.statesHeadSize)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("OlmoeForCausalLM", modelType: "olmoe")
    guard stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    stated.set("attention_bias", hasBiases)
    stated.set("num_experts", experts.count)
    stated.set("num_experts_per_tok", experts.used)
    stated.set("norm_topk_prob", isNormalised)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
