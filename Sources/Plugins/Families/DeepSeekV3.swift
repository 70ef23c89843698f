import FamilyKit
public import QuantCore

/// DeepSeek-V2, V3 and R1, and models of other publishers with the same blocks (Kimi K2, GigaChat, GLM-4.7-Flash, Youtu, Mistral 4): latent
/// attention, and experts beside a shared one that every token visits. V2 chooses them by a softmax, in groups that count as much as
/// their best expert; V3 by corrected sigmoids, in groups that count as much as their best two. In V3.2 and GLM-5, a query sees only tokens
/// that a `TokenIndexer` chooses.
///
/// The traps: one matrix of a folder makes keys and values of all heads, head by head; a GGUF stores it as two, the keys' matrix
/// transposed. The last blocks of a folder predict further tokens and are not part of the model.
public enum DeepSeekV3: ModelFamily {
  /// Id of the family.
  public static let id = "deepseek3"
  /// One sentence for lists.
  public static let summary = "DeepSeek-V2, V3, V3.2 and R1, Kimi K2, GLM-4.7-Flash and GLM-5, Youtu, Mistral 4"
  /// Paper.
  public static let reference = "arXiv:2412.19437"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["deepseek2", "mistral4", "deepseek32", "glm-dsa"] : DeepSeekClass.all.map(\.architecture)
  }

  /// Names and places, depending on whether queries have a latent of their own.
  private static func names(hasQueryLatent: Bool, _ kind: DeepSeekClass, _ tensors: Checkpoint) -> TensorNames {
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
      TensorName(.indexerQuery, "self_attn.indexer.wq_b", "indexer.attn_q_b"),
      TensorName(.indexerKey, "self_attn.indexer.wk", "indexer.attn_k"),
      TensorName(.indexerKeyNorm, "self_attn.indexer.k_norm", "indexer.k_norm"),
      TensorName(.indexerWeights, "self_attn.indexer.weights_proj", "indexer.proj"), after: .attentionOutput)
    names.insertRouted()
    if kind == .mistral { names.stackExperts(in: tensors) }
    return names
  }

  /// An upper limit: published models have one, and their configurations do not always count it.
  private static let mostPredictingBlocks = 8

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try DeepSeekFacts(keys, tensors)
    let (n, latent, experts, biased) = (facts.numbers, facts.latent, facts.experts, facts.biased)
    @Sendable func branches(_ attention: LatentAttention, hasExperts: Bool) -> [Branch] {
      let second: any Part = if let experts, hasExperts { experts.mixture(width: n.hiddenSize) } else { n.feedForward() }
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second),
      ]
    }
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      branches(facts.attention(block), hasExperts: block >= experts?.denseBlocks ?? 0)
    }
    decoder.names = names(hasQueryLatent: latent.queryRank != nil, facts.kind, tensors)
    decoder.bias = { biased.contains($0.role) ? .always : .never }
    decoder.biasedNorms = [.indexerKeyNorm]
    if facts.indexer != nil {
      decoder.predicting = PredictingBlocks(after: n.blockCount, in: tensors, decoder.names)
      decoder.predictingBranches = branches(facts.attention(0, isAlone: true), hasExperts: true)
    }
    var model = try decoder.describe()
    // Blocks after the last predict further tokens; clients of the older classes have no use for them.
    if tensors.naming == .huggingFace, model.predictingBlockCount == 0 {
      model.predictionParts = (0..<DeepSeekV3.mostPredictingBlocks).map { "model.layers.\(n.blockCount + $0)." }
    }
    model.obstacles[.gguf] = facts.obstacle
    if facts.obstacle == nil {
      var stored = facts.ggufKeys
      stored.setPredicting(model)
      model.configurations[.gguf] = stored.configuration
    }
    if !facts.cautions.isEmpty { model.cautions[.gguf] = facts.cautions }
    model.configurations[.huggingFace] = facts.huggingFaceConfiguration(predicting: model.predictingBlockCount).map { .huggingFace($0) }
    return model
  }
}

extension TensorNames {
  /// Names the experts as stacks, gate and up in one tensor, except where the checkpoint has others.
  fileprivate mutating func stackExperts(in tensors: Checkpoint) {
    let isApart = tensors.naming == .gguf && tensors.tensors.contains { $0.name.hasSuffix("ffn_gate_exps.weight") }
    let gateUp = NamedPlace("mlp.experts.gate_up_proj").named(suffix: "")
    let (gate, up): (NamedPlace, NamedPlace) = isApart ? ("ffn_gate_exps", "ffn_up_exps") : ("ffn_gate_up_exps", "ffn_gate_up_exps")
    rename(
      TensorName(expert: .gate, gateUp, gate), TensorName(expert: .up, gateUp, up),
      TensorName(expert: .down, NamedPlace("mlp.experts.down_proj").named(suffix: ""), "ffn_down_exps"))
  }
}
