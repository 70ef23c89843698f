import FamilyKit
public import QuantCore

/// Llama 1, 2 and 3.x, and the many models that share their code. In a GGUF also Mistral and Mixtral, which have no architecture name
/// of their own there.
public enum Llama: ModelFamily {
  /// Id of the family.
  public static let id = "llama"
  /// One sentence for lists.
  public static let summary = "Llama 1 to 3.x and models that share their architecture"
  /// Papers of the three generations.
  public static let reference = "arXiv:2302.13971, arXiv:2307.09288, arXiv:2407.21783"

  /// Names in `config.json`, the second in files of the first weeks, and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["llama"] : ["LlamaForCausalLM", "LLaMAForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let isStored = configuration.keyValues != nil
    var decoder = LlamaDecoder.llama(id)
    decoder.mayHaveBiases = true
    decoder.mixesExperts = isStored ? nil : false
    return try decoder.describe(configuration, tensors: tensors)
  }
}
