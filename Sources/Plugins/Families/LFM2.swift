import FamilyKit
public import QuantCore

/// LFM2: gated convolutions over a few tokens in most blocks, an attention with norms of queries and keys in the others; LFM2-MoE has
/// experts from some block on.
///
/// The traps: unless `block_auto_adjust_ff_dim` is false, the feed-forward network is two thirds as wide as stated, rounded up; the last
/// norm is called `embedding_norm`, although it comes after the blocks.
public enum LFM2: ModelFamily {
  /// Id of the family.
  public static let id = "lfm2"
  /// One sentence for lists.
  public static let summary = "LFM2, convolutions and attention, dense or with a mixture of experts"
  /// Description.
  public static let reference = "https://huggingface.co/LiquidAI/LFM2-1.2B"

  private static let mixture = "Lfm2MoeForCausalLM"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["lfm2", "lfm2moe"] : ["Lfm2ForCausalLM", "LFM2ForCausalLM", mixture]
  }

  private struct Facts {
    var numbers = DecoderNumbers()
    var rope = Rope()
    /// Which blocks have an attention.
    var attends: [Bool] = []
    var kernelSize = 3
    var hasBias = false
    var experts: RoutedExperts?
  }

  private static func names(_ facts: Facts) -> TensorNames {
    let (width, size) = (facts.numbers.hiddenSize, facts.kernelSize)
    var names = TensorNames.llama
    names.rename(
      TensorName(.attentionNorm, "operator_norm", "attn_norm"), TensorName(.feedForwardNorm, "ffn_norm", "ffn_norm"),
      TensorName(.queryNorm, "self_attn.q_layernorm", "attn_q_norm"), TensorName(.keyNorm, "self_attn.k_layernorm", "attn_k_norm"),
      TensorName(.attentionOutput, "self_attn.out_proj", "attn_output"), TensorName(.gate, "feed_forward.w1", "ffn_gate"),
      TensorName(.up, "feed_forward.w3", "ffn_up"), TensorName(.down, "feed_forward.w2", "ffn_down"),
      TensorName(.router, "feed_forward.gate", "ffn_gate_inp"),
      TensorName(
        .routerCorrection, NamedPlace("feed_forward.expert_bias").named(suffix: ""), NamedPlace("exp_probs_b").named(suffix: ".bias")),
      TensorName(expert: .gate, "feed_forward.experts.*.w1", "ffn_gate_exps"),
      TensorName(expert: .up, "feed_forward.experts.*.w3", "ffn_up_exps"),
      TensorName(expert: .down, "feed_forward.experts.*.w2", "ffn_down_exps"))
    names.insert(
      [.convolutionInputGate, .convolutionOutputGate, .convolved].map { TensorName($0, "conv.in_proj", "shortconv.in_proj") } + [
        TensorName(
          .convolution, NamedPlace("conv.conv").shaped([width, 1, size]), NamedPlace("shortconv.conv").shaped([width, size])),
        TensorName(.convolutionBias, NamedPlace("conv.conv.bias").named(suffix: ""), nil),
        TensorName(.convolutionOutput, "conv.out_proj", "shortconv.out_proj"),
      ], after: .attentionNorm)
    names.back = [
      TensorName(.outputNorm, "embedding_norm", "token_embd_norm"), TensorName(.output, .outside("lm_head"), "output"),
    ]
    return names
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try read(keys, tensors, hasExperts: [mixture, "lfm2moe"].contains(configuration.architecture))
    let n = facts.numbers
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let first: any Part
      if facts.attends[block] {
        var attention = n.attention(rope: facts.rope)
        (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
        first = attention
      } else {
        first = ShortConvolution(width: n.hiddenSize, kernelSize: facts.kernelSize, hasBias: facts.hasBias)
      }
      let experts = facts.experts.flatMap { block >= $0.denseBlocks ? $0.mixture(width: n.hiddenSize) : nil }
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), first),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), experts ?? n.feedForward()),
      ]
    }
    decoder.names = names(facts)
    decoder.bias = { facts.hasBias && $0.kind == .mixer ? .always : .never }
    var model = try decoder.describe()

    if facts.hasBias {
      model.obstacles[.gguf] = "llama.cpp has no biases of convolutions in 'lfm2', but this model has them"
    } else {
      model.configurations[.gguf] = stored(facts)
    }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint, hasExperts: Bool) throws(Failure) -> Facts {
    var facts = Facts()
    var n = try keys.decoderNumbers(defaultKeyValueHeads: 8, defaultNormEpsilon: 1e-5, tensors: tensors, feedForwardSize: false)
    n.normEpsilon = try keys.number("norm_eps", "attention.layer_norm_rms_epsilon") ?? 1e-5
    n.feedForwardSize = try feedForwardSize(keys, adjusts: !hasExperts)
    let tie = keys.json("tie_word_embeddings") ?? keys.json("tie_embedding")
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: tie?.boolValue ?? true, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    facts.rope = try keys.rope(headSize: n.headSize, defaultTheta: 1_000_000, factors: nil)
    let attending = keys.json("full_attn_idxs")?.arrayValue?.compactMap(\.intValue)
    facts.attends = try keys.attentionBlocks(n.blockCount, others: ["conv"]) { attending?.contains($0) ?? true }
    facts.kernelSize = keys.json("conv_L_cache") == nil && !keys.isStored ? 3 : try keys.positiveSize("conv_L_cache", "shortconv.l_cache")
    facts.hasBias = keys.json("conv_bias")?.boolValue ?? false
    if hasExperts { facts.experts = try experts(keys, n, tensors) }
    facts.numbers = n
    return facts
  }

  private static func feedForwardSize(_ keys: ConfigurationKeys, adjusts: Bool) throws(Failure) -> Int {
    let size = try keys.positiveSize(["block_ff_dim", "intermediate_size"], "feed_forward_length")
    guard !keys.isStored, adjusts, keys.json("block_auto_adjust_ff_dim")?.boolValue ?? true else { return size }
    let multiple = keys.json("block_multiple_of") == nil ? 256 : try keys.positiveSize("block_multiple_of", "")
    let factor = try keys.number("block_ffn_dim_multiplier", "") ?? 1
    let adjusted = factor * Double(2 * size / 3)
    guard adjusted < Double(Int32.max) else { throw keys.bad("block_ffn_dim_multiplier", "makes the feed-forward network too wide") }
    return (Int(adjusted) + multiple - 1) / multiple * multiple
  }

  private static func experts(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ tensors: Checkpoint) throws(Failure) -> RoutedExperts {
    let (count, used) = try keys.experts(count: "num_experts", blocks: n.blockCount)
    let isNormalised = keys.json("norm_topk_prob")?.boolValue ?? true
    var experts = RoutedExperts(
      routing: ExpertRouting(expertsPerToken: used, weights: isNormalised ? .normalisedSigmoid : .sigmoid))
    experts.count = count
    experts.denseBlocks = try keys.size("num_dense_layers", "leading_dense_block_count") ?? 0
    experts.innerSize = try keys.positiveSize("moe_intermediate_size", "expert_feed_forward_length")
    experts.routing.scale = try keys.number("routed_scaling_factor", "").map { Float($0) } ?? 1
    experts.routing.hasCorrection =
      keys.isStored ? tensors["blk.\(experts.denseBlocks).exp_probs_b.bias"] != nil : keys.json("use_expert_bias")?.boolValue ?? true
    return experts
  }

  private static func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers
    var stored = GGUFKeys(facts.experts == nil ? "lfm2" : "lfm2moe")
    stored.setCommon(
      n, rope: facts.rope, experts: facts.experts.map { ($0.count, $0.routing.expertsPerToken) },
      statesHeadSize: n.statesHeadSize)
    stored.setKeyValueHeads(n.keyValueHeadCount, in: facts.attends)
    if let experts = facts.experts {
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("leading_dense_block_count", experts.denseBlocks)
      stored.set("expert_gating_func", 2)
    }
    stored.set("vocab_size", n.vocabularySize)
    stored.set("shortconv.l_cache", facts.kernelSize)
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers
    var stated = HuggingFaceKeys(
      facts.experts == nil ? "Lfm2ForCausalLM" : mixture, modelType: facts.experts == nil ? "lfm2" : "lfm2_moe")
    guard stated.setCommon(n, rope: facts.rope, normEpsilon: "norm_eps", statesHeadSize: n.statesHeadSize) else { return nil }
    stated.set("layer_types", .array(facts.attends.map { .string($0 ? "full_attention" : "conv") }))
    stated.set("conv_L_cache", facts.kernelSize)
    stated.set("conv_bias", facts.hasBias)
    if let experts = facts.experts {
      stated.set("num_experts", experts.count)
      stated.set("num_experts_per_tok", experts.routing.expertsPerToken)
      stated.set("moe_intermediate_size", experts.innerSize)
      stated.set("num_dense_layers", experts.denseBlocks)
      stated.set("use_expert_bias", experts.routing.hasCorrection)
      stated.set("norm_topk_prob", experts.isNormalised)
      stated.set("routed_scaling_factor", Double(experts.routing.scale))
    } else {
      stated.set("block_auto_adjust_ff_dim", false)
    }
    return stated.configuration
  }
}
