import FamilyKit
public import QuantCore

/// Qwen2-MoE and Qwen1.5-MoE: Qwen2's attention, experts chosen by a router, and a shared expert that every token visits, weighted by
/// a score that a matrix of one row computes from the token.
///
/// The trap: the weights of the chosen experts are not divided by their sum unless `norm_topk_prob` says so.
public enum Qwen2MoE: ModelFamily {
  /// Id of the family.
  public static let id = "qwen2-moe"
  /// One sentence for lists.
  public static let summary = "Qwen1.5-MoE and Qwen2-MoE: routed experts and a shared one"
  /// Papers.
  public static let reference = "arXiv:2407.10671, https://qwenlm.github.io/blog/qwen-moe"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["qwen2moe"] : ["Qwen2MoeForCausalLM"] }

  private static let mixture = QwenMixture(
    family: id, ggufArchitecture: "qwen2moe", architecture: "Qwen2MoeForCausalLM", modelType: "qwen2_moe", defaultKeyValueHeads: 16,
    defaultInnerSize: 1408, defaultSharedSize: 5632, biased: [.query, .key, .value], biasKey: "qkv_bias", hasBiasesByDefault: true,
    normalisesHeads: false, isNormalisedInGGUF: false,
    obstacleOfTies: "llama.cpp needs an output matrix in a GGUF of 'qwen2moe', but this model ties its output to the embedding")

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    try mixture.describe(configuration, tensors: tensors)
  }
}
