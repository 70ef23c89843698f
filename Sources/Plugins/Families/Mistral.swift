import FamilyKit
public import QuantCore

/// Mistral 7B and its successors: Llama with an attention window.
///
/// The trap: version 0.1 has a window of 4096, which the configuration class assumes if the key is missing; later versions state
/// null, which means no window.
public enum Mistral: ModelFamily {
  /// Id of the family.
  public static let id = "mistral"
  /// One sentence for lists.
  public static let summary = "Mistral 7B and successors with dense feed-forward layers"
  /// Paper.
  public static let reference = "arXiv:2310.06825"

  /// Names in `config.json`; a GGUF calls the architecture `llama`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["MistralForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    var decoder = LlamaDecoder.llama(id)
    decoder.defaultKeyValueHeads = 8
    decoder.slidingWindow = { keys, _ throws(Failure) in
      guard keys.configuration.json?["sliding_window"] != nil else { return 4096 }
      return try keys.window()
    }
    return try decoder.describe(configuration, tensors: tensors)
  }
}
