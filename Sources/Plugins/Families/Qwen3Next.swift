import FamilyKit
public import QuantCore

/// Qwen3-Next: gated delta nets in three of four blocks, a gated attention in the fourth, and experts beside a shared one.
public enum Qwen3Next: ModelFamily {
  /// Id of the family.
  public static let id = "qwen3-next"
  /// One sentence for lists.
  public static let summary = "Qwen3-Next, gated delta nets and attention, with a mixture of experts"
  /// Description.
  public static let reference = "https://qwen.ai/blog?id=qwen3-next"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["qwen3next"] : ["Qwen3NextForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    try QwenDelta(
      family: id, ggufArchitecture: "qwen3next", architecture: "Qwen3NextForCausalLM", modelType: "qwen3_next", hasExperts: true,
      isFused: true
    ).describe(configuration, tensors: tensors)
  }
}

/// Qwen3.5 and 3.6, the language model: as Qwen3-Next, dense or with experts, with separate matrices in the delta nets. The rotary
/// embedding has sections for images; for text it is the usual one.
public enum Qwen35: ModelFamily {
  /// Id of the family.
  public static let id = "qwen3.5"
  /// One sentence for lists.
  public static let summary = "Qwen3.5 and 3.6, dense or with a mixture of experts; only the language model"
  /// Description.
  public static let reference = "https://huggingface.co/Qwen/Qwen3.5-9B"

  private static let dense = ["Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"]
  private static let mixtures = ["Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"]

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["qwen35", "qwen35moe"] : dense + mixtures
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let hasExperts = (mixtures + ["qwen35moe"]).contains(configuration.architecture ?? "")
    return try QwenDelta(
      family: id, ggufArchitecture: hasExperts ? "qwen35moe" : "qwen35", architecture: hasExperts ? mixtures[0] : dense[0],
      modelType: hasExperts ? "qwen3_5_moe_text" : "qwen3_5_text", hasExperts: hasExperts, isFused: false,
      prefixes: ["model.", "model.language_model."]
    ).describe(configuration, tensors: tensors)
  }
}
