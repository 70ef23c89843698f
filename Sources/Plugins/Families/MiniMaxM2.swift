import FamilyKit
public import QuantCore

/// MiniMax-M2: norms of queries and keys over all heads together, heads of which a part is rotated, and DeepSeek-V3's router without
/// groups.
///
/// The trap: published configurations state the rotated channels as a number, `rotary_dim`; transformers saves them as a share.
public enum MiniMaxM2: ModelFamily {
  /// Id of the family.
  public static let id = "minimax-m2"
  /// One sentence for lists.
  public static let summary = "MiniMax-M2, a mixture of experts"
  /// Report.
  public static let reference = "https://github.com/MiniMax-AI/MiniMax-M2"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["minimax-m2"] : ["MiniMaxM2ForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.renameExpertsAsMixtral()
    names.insertRouted(correction: "block_sparse_moe.e_score_correction_bias", shared: nil)
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 8, headSize: 128, tensors: tensors)
    try refuseVariants(keys)
    let rope = try rope(keys, n)
    let experts = try keys.experts(count: "num_local_experts", blocks: n.blockCount)
    var attention = n.attention(rope: rope)
    (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
    (attention.queryNormSize, attention.keyNormSize) = (n.headCount * n.headSize, n.keyValueHeadCount * n.headSize)
    let part = attention
    let routing = ExpertRouting(expertsPerToken: experts.used, weights: .normalisedSigmoid, hasCorrection: true)
    let mixture = MixtureOfExperts(n.feedForward(), expertCount: experts.count, routing: routing)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), part), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), mixture)]
    }
    decoder.names = names
    var model = try decoder.describe()

    if n.tiesEmbeddings {
      model.obstacles[.gguf] = "llama.cpp needs an output matrix in 'minimax-m2', but this model ties its output to the embedding"
    } else if let obstacle = rope.obstacle("minimax-m2") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("minimax-m2")
      stored.setCommon(
        n, rope: rope, experts: experts, routing: RoutedExperts(routing: routing), statesGroups: false, statesHeadSize: n.statesHeadSize)
      stored.set("expert_feed_forward_length", n.feedForwardSize)
      stored.set("rope.dimension_count", rope.dimension)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("MiniMaxM2ForCausalLM", modelType: "minimax_m2")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return model }
    stated.set("rotary_dim", rope.dimension)
    stated.set("num_local_experts", experts.count)
    stated.set("num_experts_per_tok", experts.used)
    stated.set("scoring_func", .string("sigmoid"))
    stated.set("use_routing_bias", true)
    stated.set("use_qk_norm", true)
    stated.set("qk_norm_type", .string("per_layer"))
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  private static func refuseVariants(_ keys: ConfigurationKeys) throws(Failure) {
    try keys.refuse("use_qk_norm", when: false, "queries and keys without norms are not supported")
    try keys.refuse("use_routing_bias", when: false, "a router without corrections is not supported")
    for (key, only) in [("scoring_func", "sigmoid"), ("qk_norm_type", "per_layer")] {
      if let value = keys.json(key)?.stringValue, value != only {
        throw keys.unsupported("model.variant", "'\(key)' is '\(value)'; only '\(only)' is supported")
      }
    }
    if let function = try keys.size("", "expert_gating_func"), function != RoutedExperts.sigmoid {
      throw keys.unsupported("model.variant", "a router without sigmoids is not supported")
    }
  }

  private static func rope(_ keys: ConfigurationKeys, _ n: DecoderNumbers) throws(Failure) -> Rope {
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 5_000_000, factors: nil, mayBePartial: true)
    guard let dimension = try keys.size("rotary_dim", "") else { return rope }
    guard dimension >= 2, dimension <= n.headSize, dimension.isMultiple(of: 2) else {
      throw keys.bad("rotary_dim", "is \(dimension), but a head has \(n.headSize) channels")
    }
    rope.dimension = dimension
    return rope
  }
}
