import FamilyKit
public import QuantCore

/// GLM-4 of 2024 (`GlmForCausalLM`) and of 2025 (`Glm4ForCausalLM`): biases of queries, keys and values, gate and up in one matrix, and
/// half of each head rotated. The later model also has a norm over the output of each branch.
///
/// The traps: rotated pairs are neighbours, in a folder as well as in a GGUF; and the norm before the feed-forward network has the name
/// that other families give to one over the attention's output.
public enum GLM4: ModelFamily {
  /// Id of the family.
  public static let id = "glm4"
  /// One sentence for lists.
  public static let summary = "GLM-4 with dense feed-forward layers"
  /// Paper.
  public static let reference = "arXiv:2406.12793"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["glm4", "chatglm"] : ["Glm4ForCausalLM", "GlmForCausalLM"]
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(TensorName(.gate, "mlp.gate_up_proj", "ffn_up"), TensorName(.up, "mlp.gate_up_proj", "ffn_up"))
    names.insert(TensorName(.attentionOutputNorm, "post_self_attn_layernorm", "post_attention_norm"), after: .attentionOutput)
    names.insert(TensorName(.feedForwardOutputNorm, "post_mlp_layernorm", "post_ffw_norm"), after: .down)
    return names
  }()
  private static let biased: Set<TensorRole> = [.query, .key, .value]
  /// What the classes of transformers assume.
  private static let (groups, headSize, epsilon, share) = (2, 128, 1.5625e-7, 0.5)

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let isLater = ["glm4", "Glm4ForCausalLM"].contains(configuration.architecture)
    // Blocks that predict further tokens, and positions in pictures: only models for pictures have them.
    if try keys.size("num_nextn_predict_layers", "nextn_predict_layers") ?? 0 > 0 || keys.metadata("rope.dimension_sections") != nil {
      throw keys.unsupported("model.variant", "GLM models for pictures are not supported")
    }
    let n = try keys.llamaNumbers(keyValueHeads: groups, headSize: headSize, epsilon: epsilon, tensors: tensors)
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: nil, mayBePartial: true, defaultShare: share)
    rope.pairs = .neighbours
    let hasBiases = keys.hasBiases("attention_bias", default: true, stored: "blk.0.attn_q.bias", tensors)

    let branches = [
      Branch(
        norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: rope),
        outputNorm: isLater ? n.rootMeanSquareNorm(.attentionOutputNorm) : nil),
      Branch(
        norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(),
        outputNorm: isLater ? n.rootMeanSquareNorm(.feedForwardOutputNorm) : nil),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ throws(Failure) in branches }
    decoder.names = names
    decoder.bias = { hasBiases && biased.contains($0.role) ? .always : .never }
    var model = try decoder.describe()

    let architecture = isLater ? "glm4" : "chatglm"
    model.obstacles[.gguf] = n.obstacle(architecture, rope: rope, dividesHidden: !isLater)
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys(architecture)
      if !isLater {
        stored.order = ["context_length", "embedding_length", "feed_forward_length", "block_count", "attention.head_count"]
        stored.order += ["attention.head_count_kv", "attention.layer_norm_rms_epsilon", "general.file_type", "rope.dimension_count"]
        stored.setNoBeginning()
      }
      for kind in isLater ? ["eos", "bos"] : ["eos"] { stored.setToken(kind, "<|endoftext|>") }
      stored.setToken("eot", "<|user|>")
      stored.setCommon(n, rope: rope, statesHeadSize: isLater && (n.statesHeadSize || !n.headsFillWidth))
      stored.set("rope.dimension_count", rope.dimension)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys(isLater ? "Glm4ForCausalLM" : "GlmForCausalLM", modelType: isLater ? "glm4" : "glm")
    if stated.setCommon(n, rope: rope, statesHeadSize: true) {
      if rope.dimension == n.headSize { stated.set("partial_rotary_factor", 1) }
      stated.set("attention_bias", hasBiases)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
