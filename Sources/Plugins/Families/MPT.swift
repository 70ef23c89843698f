import FamilyKit
public import QuantCore

/// MPT: positions enter as biases of the attention scores that decrease with distance; norms and layers have no biases, and embeddings
/// are tied.
///
/// The trap: some models clamp queries, keys and values.
public enum MPT: ModelFamily {
  /// Id of the family.
  public static let id = "mpt"
  /// One sentence for lists.
  public static let summary = "MPT with biases by distance, all sizes"
  /// Report.
  public static let reference = "https://www.databricks.com/blog/mpt-7b"

  /// Names in `config.json` and in `general.architecture`; the published files have another spelling than the class of transformers.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["mpt"] : ["MPTForCausalLM", "MptForCausalLM"]
  }

  private static let names = TensorNames(
    front: [TensorName(.tokenEmbedding, "wte", "token_embd")],
    block: [
      TensorName(.attentionNorm, "norm_1", "attn_norm"), TensorName(.query, "attn.Wqkv", "attn_qkv"),
      TensorName(.key, "attn.Wqkv", "attn_qkv"), TensorName(.value, "attn.Wqkv", "attn_qkv"),
      TensorName(.attentionOutput, "attn.out_proj", "attn_output"), TensorName(.feedForwardNorm, "norm_2", "ffn_norm"),
      TensorName(.up, "ffn.up_proj", "ffn_up"), TensorName(.down, "ffn.down_proj", "ffn_down"),
    ],
    back: [TensorName(.outputNorm, "norm_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
    prefixes: [.huggingFace: "transformer."], blockPrefixes: [.huggingFace: "blocks.*.", .gguf: "blk.*."])

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let attentionKeys = keys.nested("attn_config")
    let epsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(hidden: ["d_model"], blocks: ["n_layers"], heads: ["n_heads"], epsilon: epsilon, tensors: tensors)
    // The class of transformers reads another ratio and does not use it.
    n.feedForwardSize = 4 * n.hiddenSize
    n.contextLength = try keys.size("max_seq_len", "context_length") ?? 2048
    n.vocabularySize = try keys.vocabularySize(tensors["transformer.wte.weight"] ?? tensors["token_embd.weight"])
    try keys.refuse("no_bias", when: false, "biases are not supported")
    try check(attentionKeys)
    let clip = try attentionKeys.clip("clip_qkv", "attention.clamp_kqv")

    var attention = n.attention()
    attention.hasLinearBias = true
    attention.clip = clip.map { Float($0) }
    attention.scale = try attentionKeys.number("softmax_scale", "").map { Float($0) }
    let branches = [
      Branch(norm: n.layerNorm(.attentionNorm), attention),
      Branch(norm: n.layerNorm(.feedForwardNorm), n.feedForward(.gelu, isGated: false)),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.layerNorm(.outputNorm)) { _ in branches }
    decoder.names = names
    decoder.normBias = .never
    var model = try decoder.describe()

    if attention.scale != nil {
      model.obstacles[.gguf] = "llama.cpp scales the scores of 'mpt' by the head size, but this model states another factor"
    } else {
      var stored = GGUFKeys("mpt")
      stored.order = ["context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"]
      stored.order += ["attention.layer_norm_epsilon", "attention.clamp_kqv", "attention.max_alibi_bias", "general.file_type"]
      stored.setCommon(n, rope: nil, layerNorms: true, statesKeyValueHeads: false, statesHeadSize: false)
      if let clip { stored.set("attention.clamp_kqv", clip) }
      stored.set("attention.max_alibi_bias", largestBias)
      model.configurations[.gguf] = stored.configuration
    }
    model.configurations[.huggingFace] = .huggingFace(
      .object([
        .init("architectures", .array([.string("MPTForCausalLM")])), .init("model_type", .string("mpt")),
        .init("d_model", .int(n.hiddenSize)), .init("n_layers", .int(n.blockCount)), .init("n_heads", .int(n.headCount)),
        .init("expansion_ratio", .int(4)), .init("max_seq_len", .int(n.contextLength)), .init("vocab_size", .int(n.vocabularySize)),
        .init("layer_norm_epsilon", .shortest(n.normEpsilon)), .init("no_bias", .bool(true)),
        .init(
          "attn_config",
          .object([
            .init("alibi", .bool(true)), .init("alibi_bias_max", .int(8)), .init("clip_qkv", clip.map { .shortest($0) } ?? .null),
            .init("softmax_scale", attention.scale.map { .shortest(Double($0)) } ?? .null),
          ])), .init("tie_word_embeddings", .bool(n.tiesEmbeddings)),
      ]))
    return model
  }

  /// The exponent of the steepest slope times the number of heads.
  private static let largestBias = 8.0

  private static func check(_ keys: ConfigurationKeys) throws(Failure) {
    try keys.refuse("alibi", when: false, "learned positions are not supported")
    try keys.refuse("qk_ln", when: true, "norms of queries and keys are not supported")
    try keys.refuse("prefix_lm", when: true, "attention to later tokens of a prefix is not supported")
    let bias = keys.isStored ? keys.metadata("attention.max_alibi_bias")?.doubleValue ?? 0 : keys.json("alibi_bias_max")?.doubleValue ?? 8
    if bias != largestBias { throw keys.unsupported("model.variant", "biases by distance of up to \(bias) are not supported") }
    let heads = try keys.size("kv_n_heads", "attention.head_count_kv")
    if let heads, keys.isStored ? try keys.size("", "attention.head_count") != heads : true {
      throw keys.unsupported("model.variant", "\(heads) shared key-value heads are not supported")
    }
  }
}
