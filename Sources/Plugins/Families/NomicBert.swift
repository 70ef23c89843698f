import FamilyKit
public import QuantCore

/// Nomic's BERT: norms follow the residual additions as in BERT, but there is a rotary embedding, feed-forward networks are gated, and
/// linear layers have no biases.
///
/// The traps: `fc12` is the gate and `fc11` the other input; published configurations state twice as many positions (or four times) as
/// the model was trained for, and llama.cpp's converter corrects them.
public enum NomicBert: ModelFamily {
  /// Id of the family.
  public static let id = "nomic-bert"
  /// One sentence for lists.
  public static let summary = "Nomic's BERT without experts: an encoder, judged by its vectors"
  /// Paper.
  public static let reference = "arXiv:2402.01613"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["nomic-bert"] : ["NomicBertModel"] }

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

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    try refuse(keys)
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
    let types = keys.isStored ? tensors["token_types.weight"]?.shape.first : try keys.size("type_vocab_size", "") ?? 2
    variant.tokenTypes = types
    variant.rope = try keys.rope(
      headSize: n.headSize, defaultTheta: 10_000, factors: nil,
      keys: (keys.json("rope_theta") == nil ? "rotary_emb_base" : "rope_theta", "rotary_emb_fraction"))
    variant.isGated = true
    variant.activation = .silu
    variant.hasNormsOverSums = true
    variant.normalisesEmbedding = true
    variant.hasOutputNorm = false
    var decoder = decoder
    decoder.finish = { stored in
      stored.setEncoder(stated)
      stored.setTokenTypes(types ?? 1)
    }
    return try decoder.describe(n, variant, tensors: tensors)
  }

  /// The positions that the model was trained for, by the rule of llama.cpp's converter.
  private static func positions(_ keys: ConfigurationKeys) throws(Failure) -> Int {
    if keys.isStored || keys.json("n_positions") == nil || keys.json("max_position_embeddings") != nil {
      return try keys.positiveSize("max_position_embeddings", "context_length")
    }
    let stated = try keys.positiveSize("n_positions", "")
    return stated == 8192 ? 2048 : stated == 2048 ? 512 : stated
  }

  private static func refuse(_ keys: ConfigurationKeys) throws(Failure) {
    if let every = keys.json("moe_every_n_layers")?.intValue, every > 0 {
      throw keys.unsupported("model.experts", "a mixture of experts in some blocks is not supported")
    }
    for key in ["activation_function", "hidden_act"] {
      if let name = keys.json(key)?.stringValue, name != "swiglu", name != "silu" {
        throw keys.unsupported("model.activation", "the activation '\(name)' is not supported")
      }
    }
    for key in ["qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"] { try keys.refuse(key, when: true, "biases are not supported") }
    try keys.refuse("prenorm", when: true, "norms before the branches are not supported")
    try keys.refuse("causal", when: true, "causal attention is not supported")
    try keys.refuse("use_rms_norm", when: true, "RMS norms are not supported")
    try keys.refuse("rotary_emb_interleaved", when: true, "a rotary embedding of neighbours is not supported")
    if keys.json("rotary_emb_scale_base") != nil || keys.json("rotary_scaling_factor") != nil {
      throw keys.unsupported("model.rope-scaling", "a scaled rotary embedding is not supported")
    }
  }
}
