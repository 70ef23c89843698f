import FamilyKit
public import QuantCore

/// Granite 3 and 4, dense: Llama with four factors, of the embedding, the scores, the output of each branch, and the logits.
///
/// The traps: the factor of the scores replaces `1/√headSize` and is 1 if a `config.json` does not state it; the factor of the logits is
/// a divisor.
public enum Granite: ModelFamily {
  /// Id of the family.
  public static let id = "granite"
  /// One sentence for lists.
  public static let summary = "Granite with dense feed-forward layers"
  /// Report.
  public static let reference = "https://github.com/ibm-granite/granite-3.0-language-models"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["granite"] : ["GraniteForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    try GraniteDecoder(family: id, ggufArchitecture: "granite", hasExperts: false).describe(configuration, tensors: tensors)
  }
}

/// Granite with a mixture of experts, perhaps beside a shared one. A folder stores gate and up of all experts of a block as one tensor.
public enum GraniteMoE: ModelFamily {
  /// Id of the family.
  public static let id = "granite-moe"
  /// One sentence for lists.
  public static let summary = "Granite with a mixture of experts, with or without a shared expert"
  /// Report.
  public static let reference = "https://github.com/ibm-granite/granite-3.0-language-models"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["granitemoe"] : ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    try GraniteDecoder(family: id, ggufArchitecture: "granitemoe", hasExperts: true).describe(configuration, tensors: tensors)
  }
}
