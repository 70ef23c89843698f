import FamilyKit
public import QuantCore

/// Granite 4 hybrids: Mamba-2 in most blocks and an attention in the others, then a feed-forward network or a mixture of experts beside a
/// shared one; the four factors of Granite.
///
/// The traps: without `position_embedding_type: rope`, the attention has no positions; a model whose blocks all have an attention is
/// plain Granite to llama.cpp; transformers 5 names the kinds of blocks in another way.
public enum GraniteHybrid: ModelFamily {
  /// Id of the family.
  public static let id = "granite-hybrid"
  /// One sentence for lists.
  public static let summary = "Granite 4 with Mamba-2 and attention, dense or with a mixture of experts"
  /// Report.
  public static let reference = "https://huggingface.co/ibm-granite/granite-4.0-h-tiny"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["granitehybrid"] : ["GraniteMoeHybridForCausalLM"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let hasExperts = try keys.size("num_local_experts", "expert_count") ?? (keys.isStored ? 0 : 8) > 0
    return try GraniteDecoder(family: id, ggufArchitecture: "granitehybrid", hasExperts: hasExperts, isHybrid: true)
      .describe(configuration, tensors: tensors)
  }
}
