import FamilyKit
public import QuantCore

/// Qwen3: every head of Q and K is normalised before the rotary embedding, and the head size is independent of the hidden size
/// (128 even if the hidden size divided by the number of heads is something else).
public enum Qwen3: ModelFamily {
  /// Id of the family.
  public static let id = "qwen3"
  /// One sentence for lists.
  public static let summary = "Qwen3 with dense feed-forward layers"
  /// Paper.
  public static let reference = "arXiv:2505.09388"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["qwen3"] : ["Qwen3ForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    var decoder = LlamaDecoder(family: id, ggufArchitecture: "qwen3") { _, _ in
      var kind = LlamaClass("Qwen3ForCausalLM", "qwen3")
      (kind.statesBiases, kind.switchesWindow) = (true, true)
      return kind
    }
    decoder.mayHaveBiases = true
    decoder.normalisesHeads = true
    decoder.defaultKeyValueHeads = 32
    decoder.defaultHeadSize = 128
    decoder.alwaysStatesHeadSize = true
    decoder.slidingWindow = { keys, blocks throws(Failure) in try keys.windowOfLaterBlocks(blocks) }
    return try decoder.describe(configuration, tensors: tensors)
  }
}
