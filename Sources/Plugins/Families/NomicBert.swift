import FamilyKit
public import QuantCore

/// Nomic's BERT: norms follow the residual additions as in BERT, but there is a rotary embedding, feed-forward networks are gated, and
/// linear layers have no biases. With a mixture of experts in every second block, there are biases, but no gates.
///
/// The traps: a folder holds the experts of a block in two matrices, the rows of one expert after those of another, and those of the
/// second matrix are its inputs; llama.cpp's converter leaves out the vector that is added to the sum of experts; `fc12` is the gate and `fc11` the other input; published configurations state twice as many positions (or four times) as
/// the model was trained for, and llama.cpp's converter corrects them.
public enum NomicBert: ModelFamily {
  /// Id of the family.
  public static let id = "nomic-bert"
  /// One sentence for lists.
  public static let summary = "Nomic's BERT, dense or with a mixture of experts: an encoder, judged by its vectors"
  /// Paper.
  public static let reference = "arXiv:2402.01613"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["nomic-bert", "nomic-bert-moe"] : ["NomicBertModel"]
  }

  private static let decoder: LayerNormDecoder = {
    let fused = NamedPlace("attn.Wqkv")
    var decoder = LayerNormDecoder(
      family: id, ggufArchitecture: "nomic-bert", prefixes: [""],
      names: TensorNames(
        front: [
          TensorName(.tokenEmbedding, "embeddings.word_embeddings", "token_embd"),
          TensorName(.tokenTypeEmbedding, "embeddings.token_type_embeddings", "token_types"),
          TensorName(.embeddingNorm, "emb_ln", "token_embd_norm"),
        ],
        block: [
          TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"), TensorName(.value, fused, "attn_qkv"),
          TensorName(.attentionOutput, "attn.out_proj", "attn_output"), TensorName(.attentionNorm, "norm1", "attn_output_norm"),
          TensorName(.up, "mlp.fc11", "ffn_up"), TensorName(.gate, NamedPlace("mlp.fc12"), "ffn_gate"),
          TensorName(.down, "mlp.fc2", "ffn_down"),
          TensorName(.feedForwardNorm, "norm2", "layer_output_norm"),
        ],
        back: [], blockPrefixes: [.huggingFace: "encoder.layers.*.", .gguf: "blk.*."]))
    decoder.hasBiases = false
    decoder.statesKeyValueHeads = false
    return decoder
  }()

  /// The same with experts.
  private static let mixing: LayerNormDecoder = {
    var decoder = NomicBert.decoder
    decoder.ggufArchitecture = "nomic-bert-moe"
    decoder.hasBiases = true
    decoder.names.rename(
      TensorName(.up, "mlp.fc1", "ffn_up"), TensorName(.router, "mlp.router.layer", "ffn_gate_inp"),
      TensorName(expert: .up, NamedPlace("mlp.experts.mlp.w1").named(suffix: "").flat, "ffn_up_exps"),
      TensorName(expert: .down, NamedPlace("mlp.experts.mlp.w2").named(suffix: "").flat.transposed, "ffn_down_exps"),
      TensorName(.expertSumBias, NamedPlace("mlp.experts.bias").named(suffix: ""), nil))
    return decoder
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let period = try keys.size("moe_every_n_layers", "moe_every_n_layers") ?? 0
    try refuse(keys, hasExperts: period > 0)
    let epsilonKey = keys.json("layer_norm_epsilon") == nil ? "layer_norm_eps" : "layer_norm_epsilon"
    var n = try keys.layerNormNumbers(
      hidden: ["n_embd", "hidden_size"], blocks: ["n_layer", "num_hidden_layers"], heads: ["n_head", "num_attention_heads"],
      epsilon: try keys.number(epsilonKey, "attention.layer_norm_epsilon") ?? 1e-12, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize(["n_inner", "intermediate_size"], "feed_forward_length")
    n.contextLength = try positions(keys)
    n.statesHeadSize = keys.json("head_dim") != nil || keys.metadata("attention.key_length") != nil
    n.vocabularySize = try keys.vocabularySize(tensors["embeddings.word_embeddings.weight"] ?? tensors["token_embd.weight"])
    let stated = try keys.pooling(tensors)
    var variant = LayerNormDecoder.Variant()
    variant.pooling = stated ?? .mean
    // ggml does not store the outer dimension of a table of one row.
    let table = tensors["token_types.weight"]?.shape
    let types = keys.isStored ? table?.dropLast().first ?? table.map { _ in 1 } : try keys.size("type_vocab_size", "") ?? 2
    variant.tokenTypes = types
    variant.rope = try keys.rope(
      headSize: n.headSize, defaultTheta: 10_000, factors: nil,
      keys: (keys.json("rope_theta") == nil ? "rotary_emb_base" : "rope_theta", "rotary_emb_fraction"))
    variant.isGated = period == 0
    variant.activation = period == 0 ? .silu : .gelu
    variant.hasNormsOverSums = true
    variant.normalisesEmbedding = true
    variant.hasOutputNorm = false
    var decoder = decoder
    var experts: (count: Int, used: Int)?
    if period > 0 {
      decoder = mixing
      let count = keys.json("num_experts") == nil ? "num_local_experts" : "num_experts"
      let found = try keys.experts(count: count, used: "moe_top_k", blocks: n.blockCount)
      var mixture = MixtureOfExperts(
        n.feedForward(.gelu, isGated: false), expertCount: found.count,
        routing: ExpertRouting(expertsPerToken: found.used, weights: .softmax))
      mixture.hasSumBias = true
      (variant.mixture, variant.mixturePeriod, experts) = (mixture, period, found)
    }
    decoder.finish = { [experts] stored in
      stored.setEncoder(stated)
      stored.setTokenTypes(types ?? 1)
      guard let experts else { return }
      stored.set("expert_count", experts.count)
      stored.set("moe_every_n_layers", period)
      stored.set("expert_used_count", experts.used)
    }
    var model = try decoder.describe(n, variant, tensors: tensors)
    if period > 0, hasSumBias(tensors) {
      model.cautions[.gguf] = ["llama.cpp adds no vector to the sum of experts in 'nomic-bert-moe', but this model does"]
    }
    return model
  }

  /// The positions that the model was trained for, by the rule of llama.cpp's converter.
  private static func positions(_ keys: ConfigurationKeys) throws(Failure) -> Int {
    if keys.isStored || keys.json("n_positions") == nil || keys.json("max_position_embeddings") != nil {
      return try keys.positiveSize("max_position_embeddings", "context_length")
    }
    let stated = try keys.positiveSize("n_positions", "")
    return stated == 8192 ? 2048 : stated == 2048 ? 512 : stated
  }

  /// Whether a block of a folder adds something else than zeros to the sum of experts.
  private static func hasSumBias(_ tensors: Checkpoint) -> Bool {
    tensors.tensors.contains { tensor in
      tensor.name.hasSuffix(".mlp.experts.bias") && tensor.storage.isNumeric && tensor.matrix().values.contains { $0 != 0 }
    }
  }

  private static func refuse(_ keys: ConfigurationKeys, hasExperts: Bool) throws(Failure) {
    let known = hasExperts ? ["gelu"] : ["swiglu", "silu"]
    for key in ["activation_function", "hidden_act"] {
      if let name = keys.json(key)?.stringValue, !known.contains(name) {
        throw keys.unsupported("model.activation", "the activation '\(name)' is not supported")
      }
    }
    for key in ["qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"] {
      try keys.refuse(key, when: !hasExperts, hasExperts ? "layers without biases are not supported" : "biases are not supported")
    }
    if hasExperts {
      try keys.refuse("expert_choice_router", when: true, "experts that choose their tokens are not supported")
      if let shared = keys.json("num_shared_experts")?.intValue, shared > 0 {
        throw keys.unsupported("model.experts", "a shared expert is not supported in this architecture")
      }
    }
    try keys.refuse("prenorm", when: true, "norms before the branches are not supported")
    try keys.refuse("causal", when: true, "causal attention is not supported")
    try keys.refuse("use_rms_norm", when: true, "RMS norms are not supported")
    try keys.refuse("rotary_emb_interleaved", when: true, "a rotary embedding of neighbours is not supported")
    if keys.json("rotary_emb_scale_base") != nil || keys.json("rotary_scaling_factor") != nil {
      throw keys.unsupported("model.rope-scaling", "a scaled rotary embedding is not supported")
    }
  }
}
