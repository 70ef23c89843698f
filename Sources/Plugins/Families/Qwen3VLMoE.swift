import FamilyKit
public import QuantCore

/// The language models of Qwen3-VL's mixtures, computed for text: every component of a position is the same, so the rotary embedding is that
/// of Qwen3.
///
/// The traps: a published folder stacks experts as `[in, out]`, gates and ups next to each other; the class divides the weights of the chosen experts by
/// their sum whatever the configuration says.
public enum Qwen3VLMoE: ModelFamily {
  /// Id of the family.
  public static let id = "qwen3-vl-moe"
  /// One sentence for lists.
  public static let summary = "Qwen3-VL with a mixture of experts; only the language model"
  /// Paper.
  public static let reference = "arXiv:2511.21631"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["qwen3vlmoe"] : ["Qwen3VLMoeForConditionalGeneration"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    // The class without a tower computes the same.
    var mixture = Qwen3MoE.mixture
    let view = LanguageModelView(configuration, tensors, as: mixture.architecture)
    let keys = ConfigurationKeys(view.configuration, path: tensors.path)
    (mixture.family, mixture.ggufArchitecture) = (id, "qwen3vlmoe")
    mixture.isAlwaysNormalised = true
    mixture.hasTransposedStacks = try areTransposed(keys, view.tensors)
    mixture.rotarySections = try QwenVL.sections(keys)
    mixture.featureBlocks = QwenVL.featureBlocks(configuration, keys)
    return view.restored(try mixture.describe(view.configuration, tensors: view.tensors))
  }

  /// Whether stacks are those of published models: transformers reads both, and does not transpose when it saves.
  private static func areTransposed(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Bool {
    let stack = tensors.tensors.first { $0.name.hasSuffix(".mlp.experts.gate_up_proj") && $0.shape.count == 3 }
    let width = try keys.size("hidden_size", "embedding_length")
    return stack.map { $0.shape[1] == width } ?? true
  }
}
