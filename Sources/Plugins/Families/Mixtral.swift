import FamilyKit
public import QuantCore

/// Mixtral: Mistral with several feed-forward networks (experts) in each block, of which a router chooses two for each token.
///
/// The trap: the norm before the experts feeds the router too. Code that scales its channels must scale the router's columns and
/// those of every expert.
public enum Mixtral: ModelFamily {
  /// Id of the family.
  public static let id = "mixtral"
  /// One sentence for lists.
  public static let summary = "Mixtral: Mistral with a mixture of experts"
  /// Paper.
  public static let reference = "arXiv:2401.04088"

  /// Names in `config.json`; a GGUF calls the architecture `llama`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["MixtralForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    var decoder = LlamaDecoder.llama(id)
    decoder.defaultKeyValueHeads = 8
    decoder.mixesExperts = true
    decoder.defaultTheta = 1_000_000
    decoder.defaultNormEpsilon = 1e-5
    decoder.slidingWindow = { keys, _ throws(Failure) in try keys.window() }
    return try decoder.describe(configuration, tensors: tensors)
  }
}
