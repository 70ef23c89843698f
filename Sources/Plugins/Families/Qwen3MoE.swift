import FamilyKit
public import QuantCore

/// Qwen3-MoE: Qwen3's attention, and experts that a router chooses.
///
/// The trap: transformers divides the weights of the chosen experts by their sum only if `norm_topk_prob` says so, as it does in all
/// published models.
public enum Qwen3MoE: ModelFamily {
  /// Id of the family.
  public static let id = "qwen3-moe"
  /// One sentence for lists.
  public static let summary = "Qwen3 with a mixture of experts"
  /// Paper.
  public static let reference = "arXiv:2505.09388"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["qwen3moe"] : ["Qwen3MoeForCausalLM"] }

  static let mixture = QwenMixture(
    family: id, ggufArchitecture: "qwen3moe", architecture: "Qwen3MoeForCausalLM", modelType: "qwen3_moe", defaultKeyValueHeads: 4,
    defaultInnerSize: 768, biased: [.query, .key, .value, .attentionOutput], biasKey: "attention_bias", hasBiasesByDefault: false,
    normalisesHeads: true, isNormalisedInGGUF: true,
    obstacleOfBiases: "llama.cpp has no bias of the attention's output in 'qwen3moe', but this model has one")

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    try mixture.describe(configuration, tensors: tensors)
  }
}
