import FamilyKit
import QuantCore

/// What the families of Granite share: Llama's blocks with four factors.
struct GraniteDecoder {
  /// Id of the family.
  var family: String
  /// What a GGUF calls the architecture.
  var ggufArchitecture: String
  /// Whether a mixture of experts takes the place of the feed-forward network.
  var hasExperts: Bool

  /// The four factors. Without a key, a GGUF means those of Llama, and a `config.json` means 1.
  private struct Factors {
    var embedding = 1.0
    /// Of the products of queries and keys.
    var scores = 1.0
    /// Of the output of each branch.
    var residual = 1.0
    /// What logits are divided by.
    var logits = 1.0

    init(_ keys: ConfigurationKeys, headSize: Int) throws(Failure) {
      embedding = try keys.number("embedding_multiplier", "embedding_scale") ?? 1
      scores = try keys.number("attention_multiplier", "attention.scale") ?? (keys.isStored ? 1 / Double(headSize).squareRoot() : 1)
      residual = try keys.number("residual_multiplier", "residual_scale") ?? 1
      logits = try keys.number("logits_scaling", "logit_scale") ?? 1
    }
  }

  private static let names: TensorNames = {
    let gateUp = NamedPlace("block_sparse_moe.input_linear")
    var names = TensorNames.llamaInPairs
    names.rename(
      TensorName(.router, "block_sparse_moe.router.layer", "ffn_gate_inp"), TensorName(expert: .gate, gateUp, "ffn_gate_exps"),
      TensorName(expert: .up, gateUp, "ffn_up_exps"), TensorName(expert: .down, "block_sparse_moe.output_linear", "ffn_down_exps"))
    names.insert(
      TensorName(.sharedGate, "shared_mlp.input_linear", "ffn_gate_shexp"),
      TensorName(.sharedUp, "shared_mlp.input_linear", "ffn_up_shexp"),
      TensorName(.sharedDown, "shared_mlp.output_linear", "ffn_down_shexp"), after: .down)
    return names
  }()

  /// Builds the description that a configuration means.
  func describe(_ configuration: Configuration, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name])
    let factors = try Factors(keys, headSize: n.headSize)
    let experts = hasExperts ? try keys.experts(count: "num_local_experts", blocks: n.blockCount) : nil
    let shared = hasExperts ? try keys.size("shared_intermediate_size", "expert_shared_feed_forward_length") ?? 0 : 0
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    let hasFeedForwardBiases = !hasExperts && keys.hasBiases("mlp_bias", stored: "blk.0.ffn_up.bias", tensors)
    var decoder = Decoder(family: family, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      var attention = n.attention(rope: rope)
      attention.scale = Float(factors.scores)
      let second: any Part =
        if let experts {
          MixtureOfExperts(
            n.feedForward(), expertCount: experts.count,
            routing: ExpertRouting(expertsPerToken: experts.used, weights: .softmaxOfChosen),
            shared: shared > 0 ? n.feedForward(innerSize: shared) : nil)
        } else {
          n.feedForward()
        }
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention, scale: Float(factors.residual)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second, scale: Float(factors.residual)),
      ]
    }
    decoder.names = GraniteDecoder.names
    decoder.bias = { $0.kind == .attention && hasBiases || $0.kind == .feedForward && hasFeedForwardBiases ? .always : .never }
    decoder.embedding.scale = Float(factors.embedding)
    decoder.head.scale = Float(1 / factors.logits)
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    if n.headsFillWidth {
      var stored = GGUFKeys(ggufArchitecture)
      stored.setCommon(n, rope: rope, experts: experts, statesHeadSize: false)
      stored.setRotation(n, rope)
      stored.set("attention.scale", factors.scores)
      stored.set("embedding_scale", factors.embedding)
      stored.set("residual_scale", factors.residual)
      stored.set("logit_scale", factors.logits)
      if shared > 0 { stored.set("expert_shared_feed_forward_length", shared) }
      model.configurations[.gguf] = stored.configuration
    } else {
      model.obstacles[.gguf] = "llama.cpp assumes that the heads of '\(ggufArchitecture)' are together as wide as the hidden states"
    }
    var stated = HuggingFaceKeys(
      hasExperts ? shared > 0 ? "GraniteMoeSharedForCausalLM" : "GraniteMoeForCausalLM" : "GraniteForCausalLM",
      modelType: hasExperts ? shared > 0 ? "granitemoeshared" : "granitemoe" : "granite")
    guard stated.setCommon(n, rope: rope, statesHeadSize: !n.headsFillWidth) else { return model }
    stated.set("attention_bias", hasBiases)
    if !hasExperts { stated.set("mlp_bias", hasFeedForwardBiases) }
    stated.set("embedding_multiplier", factors.embedding)
    stated.set("attention_multiplier", factors.scores)
    stated.set("residual_multiplier", factors.residual)
    stated.set("logits_scaling", factors.logits)
    if let experts {
      stated.set("num_local_experts", experts.count)
      stated.set("num_experts_per_tok", experts.used)
      if shared > 0 { stated.set("shared_intermediate_size", shared) }
    }
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
