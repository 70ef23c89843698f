import FamilyKit
public import QuantCore

/// DBRX: layer norms without biases before both branches, queries, keys and values that are clamped, and a mixture of experts.
///
/// The traps: a folder holds the experts of a block in three matrices without a suffix, the rows of one expert after those of another, and
/// those of the last matrix are its inputs; a GGUF has the second norm under the name of one after the attention.
public enum DBRX: ModelFamily {
  /// Id of the family.
  public static let id = "dbrx"
  /// One sentence for lists.
  public static let summary = "DBRX, a mixture of experts"
  /// Report.
  public static let reference = "https://www.databricks.com/blog/introducing-dbrx-new-state-art-open-llm"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["dbrx"] : ["DbrxForCausalLM"] }

  private static let names: TensorNames = {
    let fused = NamedPlace("norm_attn_norm.attn.Wqkv")
    func expert(_ huggingFace: NamedPlace, _ gguf: NamedPlace, _ role: TensorRole) -> TensorName {
      TensorName(expert: role, huggingFace.named(suffix: "").flat, gguf)
    }
    return TensorNames(
      front: [TensorName(.tokenEmbedding, "wte", "token_embd")],
      block: [
        TensorName(.attentionNorm, "norm_attn_norm.norm_1", "attn_norm"), TensorName(.query, fused, "attn_qkv"),
        TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
        TensorName(.attentionOutput, "norm_attn_norm.attn.out_proj", "attn_output"),
        TensorName(.feedForwardNorm, "norm_attn_norm.norm_2", "attn_output_norm"),
        TensorName(.router, "ffn.router.layer", "ffn_gate_inp"), expert("ffn.experts.mlp.w1", "ffn_gate_exps", .gate),
        expert("ffn.experts.mlp.v1", "ffn_up_exps", .up), expert(NamedPlace("ffn.experts.mlp.w2").transposed, "ffn_down_exps", .down),
      ],
      back: [TensorName(.outputNorm, "norm_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
      prefixes: [.huggingFace: "transformer."], blockPrefixes: [.huggingFace: "blocks.*.", .gguf: "blk.*."])
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let attentionKeys = keys.nested("attn_config"), expertKeys = keys.nested("ffn_config")
    var n = try keys.layerNormNumbers(
      hidden: ["d_model"], blocks: ["n_layers"], heads: ["n_heads"],
      epsilon: try keys.number("", "attention.layer_norm_epsilon") ?? 1e-5, tensors: tensors)
    n.keyValueHeadCount = try attentionKeys.positiveSize("kv_n_heads", "attention.head_count_kv")
    guard n.headCount.isMultiple(of: n.keyValueHeadCount) else {
      throw Failure(
        .data, "model.head-count", "\(n.headCount) attention heads cannot share \(n.keyValueHeadCount) key-value heads", file: tensors.path)
    }
    n.feedForwardSize = try expertKeys.size("ffn_hidden_size", "feed_forward_length") ?? 3584
    n.contextLength = try keys.size("max_seq_len", "context_length") ?? 2048
    n.vocabularySize = try keys.vocabularySize(tensors["transformer.wte.weight"] ?? tensors["token_embd.weight"])
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "transformer.wte.weight")
    if let name = expertKeys.json("ffn_act_fn")?["name"]?.stringValue, name != "silu" {
      throw keys.unsupported("model.activation", "the activation '\(name)' is not supported")
    }
    let (count, used) = try expertKeys.experts(count: "moe_num_experts", used: "moe_top_k", blocks: n.blockCount)
    let isNormalised = try Self.isNormalised(expertKeys)
    let rope = try attentionKeys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    let clip = try attentionKeys.clip("clip_qkv", "attention.clamp_kqv")

    var attention = n.attention(rope: rope)
    attention.clip = clip.map { Float($0) }
    let mixture = MixtureOfExperts(
      n.feedForward(), expertCount: count,
      routing: ExpertRouting(expertsPerToken: used, weights: isNormalised ? .softmaxOfChosen : .softmax))
    let branches = [
      Branch(norm: n.layerNorm(.attentionNorm), attention), Branch(norm: n.layerNorm(.feedForwardNorm), mixture),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.layerNorm(.outputNorm)) { _ in branches }
    decoder.names = names
    decoder.normBias = .never
    var model = try decoder.describe()
    model.obstacles[.gguf] =
      if !isNormalised {
        "llama.cpp divides the weights of chosen experts by their sum in 'dbrx', but this model does not"
      } else if clip == nil {
        "llama.cpp needs a bound of queries, keys and values in 'dbrx', but this model has none"
      } else {
        n.obstacle("dbrx", rope: rope, needsOutput: true)
      }
    if model.obstacles[.gguf] == nil, let clip {
      var stored = GGUFKeys("dbrx")
      stored.setCommon(n, rope: rope, layerNorms: true, experts: (count, used), statesHeadSize: false)
      stored.set("attention.clamp_kqv", clip)
      model.configurations[.gguf] = stored.configuration
    }
    model.configurations[.huggingFace] = rope.huggingFaceScaling == .null ? stated(n, mixture, rope, clip) : nil
    return model
  }

  /// Whether weights of experts are divided by their sum. The configuration states the norm by which they are.
  private static func isNormalised(_ keys: ConfigurationKeys) throws(Failure) -> Bool {
    guard !keys.isStored, let stated = keys.configuration.json?["moe_normalize_expert_weights"] else { return true }
    if stated.isNull { return false }
    guard stated.doubleValue == 1 else {
      throw keys.unsupported("model.variant", "weights of experts divided by another norm than their sum are not supported")
    }
    return true
  }

  private static func stated(_ n: DecoderNumbers, _ mixture: MixtureOfExperts, _ rope: Rope, _ clip: Double?) -> Configuration {
    var stated = HuggingFaceKeys("DbrxForCausalLM", modelType: "dbrx")
    stated.set("d_model", n.hiddenSize)
    stated.set("n_heads", n.headCount)
    stated.set("n_layers", n.blockCount)
    stated.set("max_seq_len", n.contextLength)
    stated.set("vocab_size", n.vocabularySize)
    stated.set(
      "attn_config",
      .object([
        .init("kv_n_heads", .int(n.keyValueHeadCount)), .init("clip_qkv", clip.map { .shortest($0) } ?? .null),
        .init("rope_theta", .shortest(rope.theta)),
      ]))
    stated.set(
      "ffn_config",
      .object([
        .init("ffn_hidden_size", .int(n.feedForwardSize)), .init("moe_num_experts", .int(mixture.expertCount)),
        .init("moe_top_k", .int(mixture.routing.expertsPerToken)),
        .init("moe_normalize_expert_weights", mixture.routing.weights == .softmaxOfChosen ? .double(1) : .null),
        .init("hidden_size", .int(n.hiddenSize)),
      ]))
    stated.set("tie_word_embeddings", n.tiesEmbeddings)
    return stated.configuration
  }
}
