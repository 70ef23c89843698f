import FamilyKit
public import QuantCore

/// DeepSeek-V3 and R1, and models of other publishers with the same blocks (Kimi K2, GigaChat): latent attention, and experts in groups,
/// chosen by corrected scores, beside a shared expert that every token visits.
///
/// The traps: one matrix of a folder makes keys and values of all heads, head by head; a GGUF stores it as two, the keys' matrix
/// transposed. The last blocks of a folder predict further tokens and are not part of the model.
public enum DeepSeekV3: ModelFamily {
  /// Id of the family.
  public static let id = "deepseek3"
  /// One sentence for lists.
  public static let summary = "DeepSeek-V3 and R1, Kimi K2"
  /// Paper.
  public static let reference = "arXiv:2412.19437"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["deepseek2"] : ["DeepseekV3ForCausalLM"] }

  /// Names and places, depending on whether queries have a latent of their own.
  private static func names(hasQueryLatent: Bool) -> TensorNames {
    let fused = NamedPlace("self_attn.kv_b_proj").ordered(.headsByTurns)
    var names = TensorNames.llama
    names.rename(
      hasQueryLatent ? TensorName(.query, "self_attn.q_b_proj", "attn_q_b") : TensorName(.query, "self_attn.q_proj", "attn_q"),
      TensorName(.key, fused, NamedPlace("attn_k_b").stackedByHeads.transposed),
      TensorName(.value, fused, NamedPlace("attn_v_b").stackedByHeads))
    names.insert(
      TensorName(.queryLatent, "self_attn.q_a_proj", "attn_q_a"),
      TensorName(.queryLatentNorm, "self_attn.q_a_layernorm", "attn_q_a_norm"), after: .attentionNorm)
    names.insert(
      TensorName(.latent, "self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
      TensorName(.latentNorm, "self_attn.kv_a_layernorm", "attn_kv_a_norm"), after: .query)
    names.insert(
      TensorName(
        .routerCorrection, NamedPlace("mlp.gate.e_score_correction_bias").named(suffix: ""),
        NamedPlace("exp_probs_b").named(suffix: ".bias")),
      after: .router)
    names.insert(
      TensorName(.sharedGate, "mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
      TensorName(.sharedUp, "mlp.shared_experts.up_proj", "ffn_up_shexp"),
      TensorName(.sharedDown, "mlp.shared_experts.down_proj", "ffn_down_shexp"), after: .down)
    return names
  }

  /// An upper limit: published models have one, and their configurations do not always count it.
  private static let mostPredictingBlocks = 8

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try DeepSeekFacts(keys, tensors)
    let (n, latent, experts, biased) = (facts.numbers, facts.latent, facts.experts, facts.biased)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let second: any Part =
        if let experts, block >= experts.denseBlocks { experts.mixture(width: n.hiddenSize) } else { n.feedForward() }
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), latent.attention(width: n.hiddenSize, headCount: n.headCount)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second),
      ]
    }
    decoder.names = names(hasQueryLatent: latent.queryRank != nil)
    decoder.bias = { biased.contains($0.role) ? .always : .never }
    var model = try decoder.describe()
    // Blocks after the last predict further tokens.
    model.otherParts[.huggingFace] = (0..<DeepSeekV3.mostPredictingBlocks).map { "model.layers.\(n.blockCount + $0)." }
    if facts.isOfLlamaCpp { model.configurations[.gguf] = facts.ggufKeys.configuration }
    model.configurations[.huggingFace] = facts.huggingFaceConfiguration.map { .huggingFace($0) }
    return model
  }
}
