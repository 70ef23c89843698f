public import QuantCore

/// Qwen3: every head of Q and K is normalised before the rotary embedding, and the head size is a number of its own
/// (128 also where the hidden size divided by the heads is another).
public enum Qwen3: ModelFamily {
  /// What people type.
  public static let id = "qwen3"
  /// One sentence for lists.
  public static let summary = "Qwen3 with dense feed-forward layers"
  /// Paper.
  public static let reference = "arXiv:2505.09388"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["qwen3"] : ["Qwen3ForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    try DecoderTraits(
      family: id, ggufArchitecture: "qwen3", mayHaveBiases: true, normalisesHeads: true, defaultKeyValueHeads: 32,
      defaultHeadSize: 128, slidingWindow: { keys, blocks throws(Failure) in try keys.windowOfLaterBlocks(blocks) }
    ).describe(configuration, tensors: tensors)
  }
}
