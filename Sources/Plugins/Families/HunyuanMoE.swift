import FamilyKit
public import QuantCore

/// Hunyuan with a mixture of experts: the attention of the dense model, and experts beside a shared one of the same size.
///
/// The trap: published configurations state one value per block for the number of experts that a token visits and for their sizes.
public enum HunyuanMoE: ModelFamily {
  /// Id of the family.
  public static let id = "hunyuan-moe"
  /// One sentence for lists.
  public static let summary = "Hunyuan with a mixture of experts"
  /// Report.
  public static let reference = "https://github.com/Tencent-Hunyuan/Hunyuan-A13B"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["hunyuan-moe"] : ["HunYuanMoEV1ForCausalLM"] }

  private static let names: TensorNames = {
    var names = HunyuanDense.names
    names.rename(TensorName(.router, "mlp.gate.wg", "ffn_gate_inp"))
    names.insertRouted(correction: nil, shared: "mlp.shared_mlp")
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, tensors: tensors)
    let (rope, isEnlarged) = try HunyuanDense.rope(keys, n)
    let count = try keys.size("num_experts", "expert_count") ?? 0
    let used = try common("moe_topk", "expert_used_count", keys) ?? 1
    guard count > 0, used > 0, used <= count else {
      throw Failure(.data, "model.expert-count", "a token cannot visit \(used) of \(count) experts", file: tensors.path)
    }
    for (key, stored, only) in [
      ("moe_intermediate_size", "expert_feed_forward_length", n.feedForwardSize), ("num_shared_expert", "expert_shared_count", 1),
      ("", "expert_shared_feed_forward_length", n.feedForwardSize),
    ] {
      if let value = try common(key, stored, keys), value != only {
        throw keys.unsupported("model.variant", "'\(keys.name(key, stored))' is \(value); only \(only) is supported")
      }
    }
    try keys.refuse("use_cla", when: true, "keys and values shared between blocks are not supported")
    try keys.refuse("use_qk_norm", when: false, "queries and keys without norms are not supported")
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    let attention = HunyuanDense.attention(n, rope)
    let mixture = MixtureOfExperts(
      n.feedForward(), expertCount: count, routing: ExpertRouting(expertsPerToken: used, weights: .softmaxOfChosen),
      shared: n.feedForward())
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), mixture)]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no bias of the attention's output in 'hunyuan-moe', but this model has one"
    } else if let obstacle = rope.obstacle("hunyuan-moe") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("hunyuan-moe")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.set("expert_count", count)
      stored.set("expert_shared_feed_forward_length", n.feedForwardSize)
      stored.set("expert_feed_forward_length", n.feedForwardSize)
      stored.set("expert_used_count", used)
      stored.set("expert_shared_count", 1)
      if isEnlarged { HunyuanDense.setEnlarged(&stored) }
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("HunYuanMoEV1ForCausalLM", modelType: "hunyuan_v1_moe")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return model }
    stated.set("attention_bias", hasBiases)
    stated.set("num_experts", count)
    // llama.cpp's converter reads lists.
    for (key, value) in [("moe_topk", used), ("moe_intermediate_size", n.feedForwardSize), ("num_shared_expert", 1)] {
      stated.set(key, .array([JSON](repeating: .int(value), count: n.blockCount)))
    }
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  /// A number, or the common value of a list with one for each block.
  private static func common(_ key: String, _ stored: String, _ keys: ConfigurationKeys) throws(Failure) -> Int? {
    guard let list = keys.json(key)?.arrayValue else { return try keys.size(key, stored) }
    guard let first = list.first?.intValue, list.allSatisfy({ $0.intValue == first }) else {
      throw keys.unsupported("model.blocks-differ", "'\(key)' differs between blocks")
    }
    return first
  }
}
