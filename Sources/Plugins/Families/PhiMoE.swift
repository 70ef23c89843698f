import FamilyKit
public import QuantCore

/// Phi-3.5-MoE: layer norms, biases, and SparseMixer, a router in which every choice has a softmax of its own over what is near it.
///
/// The traps: the share that counts as near is twice `router_jitter_noise`; llama.cpp computes a plain softmax instead.
public enum PhiMoE: ModelFamily {
  /// Id of the family.
  public static let id = "phi-moe"
  /// One sentence for lists.
  public static let summary = "Phi-3.5-MoE"
  /// Paper.
  public static let reference = "arXiv:2404.14219"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? [] : ["PhimoeForCausalLM", "PhiMoEForCausalLM"]
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.renameExpertsAsMixtral()
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 8, epsilon: 1e-5, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 1_000_000, factors: nil, longTables: tensors)
    let experts = try keys.experts(count: "num_local_experts", blocks: n.blockCount)
    let hasBiases = keys.json("attention_bias")?.boolValue ?? false
    let hasOutputBias = keys.json("lm_head_bias")?.boolValue ?? false
    let noise = try keys.number("router_jitter_noise", "") ?? 0.01
    guard experts.used == 2 else { throw keys.unsupported("model.variant", "SparseMixer chooses two experts, not \(experts.used)") }
    let mixture = MixtureOfExperts(
      n.feedForward(), expertCount: experts.count,
      routing: ExpertRouting(expertsPerToken: 2, weights: .sparseMixer(share: Float(2 * noise))))
    var attention = n.attention(rope: rope)
    attention.window = try keys.window()
    let part = attention
    var decoder = Decoder(family: id, numbers: n, norm: n.layerNorm(.outputNorm)) { _ in
      [Branch(norm: n.layerNorm(.attentionNorm), part), Branch(norm: n.layerNorm(.feedForwardNorm), mixture)]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    decoder.head.hasBias = hasOutputBias
    var model = try decoder.describe()
    model.obstacles[.gguf] = "llama.cpp chooses experts of Phi-3.5-MoE by a plain softmax, but this model by SparseMixer"

    var stated = HuggingFaceKeys("PhimoeForCausalLM", modelType: "phimoe")
    guard stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    stated.set("attention_bias", hasBiases)
    stated.set("lm_head_bias", hasOutputBias)
    stated.set("num_local_experts", experts.count)
    stated.set("num_experts_per_tok", experts.used)
    stated.set("router_jitter_noise", noise)
    stated.set("sliding_window", attention.window.map { .int($0) } ?? .null)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
