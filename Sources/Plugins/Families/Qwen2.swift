import FamilyKit
public import QuantCore

/// Qwen2 and Qwen2.5: biases on Q, K and V.
///
/// The trap: the configurations state a `sliding_window`, but `use_sliding_window` is false in nearly all of them.
public enum Qwen2: ModelFamily {
  /// Id of the family.
  public static let id = "qwen2"
  /// One sentence for lists.
  public static let summary = "Qwen2 and Qwen2.5 with dense feed-forward layers"
  /// Papers.
  public static let reference = "arXiv:2407.10671, arXiv:2412.15115"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["qwen2"] : ["Qwen2ForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    var decoder = LlamaDecoder(family: id, ggufArchitecture: "qwen2") { _, _ in
      var kind = LlamaClass("Qwen2ForCausalLM", "qwen2")
      kind.switchesWindow = true
      return kind
    }
    decoder.biased = [.query, .key, .value]
    decoder.defaultKeyValueHeads = 32
    decoder.slidingWindow = { keys, blocks throws(Failure) in try keys.windowOfLaterBlocks(blocks) }
    return try decoder.describe(configuration, tensors: tensors)
  }
}
