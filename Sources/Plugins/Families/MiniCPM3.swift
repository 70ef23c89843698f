import FamilyKit
public import QuantCore

/// MiniCPM 3: latent attention with one feed-forward network per block, and MiniCPM's factors of embeddings, branches and logits.
///
/// The traps: pairs of rotated channels are halves apart, not neighbours; llama.cpp has the factors of the published model, and reads no
/// key for them. The class is not part of transformers.
public enum MiniCPM3: ModelFamily {
  /// Id of the family.
  public static let id = "minicpm3"
  /// One sentence for lists.
  public static let summary = "MiniCPM 3, with latent attention"
  /// Paper.
  public static let reference = "arXiv:2404.06395"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["minicpm3"] : ["MiniCPM3ForCausalLM"] }

  private static let names: TensorNames = {
    let huggingFace = NamedPlace("self_attn.kv_b_proj").ordered(.headsByTurns)
    let gguf = NamedPlace("attn_kv_b").ordered(.headsByTurns)
    var names = TensorNames.llama
    names.rename(
      TensorName(.query, "self_attn.q_b_proj", "attn_q_b"), TensorName(.key, huggingFace, gguf), TensorName(.value, huggingFace, gguf))
    names.insert(
      TensorName(.queryLatent, "self_attn.q_a_proj", "attn_q_a"),
      TensorName(.queryLatentNorm, "self_attn.q_a_layernorm", "attn_q_a_norm"), after: .attentionNorm)
    names.insert(
      TensorName(.latent, "self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
      TensorName(.latentNorm, "self_attn.kv_a_layernorm", "attn_kv_a_norm"), after: .query)
    return names
  }()

  /// What llama.cpp multiplies with.
  private static let usual = (embedding: 12.0, depth: 1.4, base: 256.0)

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var read = try numbers(keys, tensors)
    let latent = try latent(keys, read, tensors)
    read.headSize = latent.rotarySize
    let n = read
    let embedding = try keys.number("scale_emb", "") ?? (keys.isStored ? usual.embedding : 1)
    let depth = try keys.number("scale_depth", "") ?? (keys.isStored ? usual.depth : 1)
    let base = try keys.number("dim_model_base", "") ?? (keys.isStored ? usual.base : 1)
    let residual = Float(depth / Double(n.blockCount).squareRoot())
    let branches = [
      Branch(
        norm: n.rootMeanSquareNorm(.attentionNorm), latent.attention(width: n.hiddenSize, headCount: n.headCount), scale: residual),
      Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(), scale: residual),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in branches }
    decoder.names = names
    decoder.embedding.scale = Float(embedding)
    decoder.head.scale = Float(base / Double(n.hiddenSize))
    decoder.tabulatedRope = latent.rope
    var model = try decoder.describe()

    let isUsual = (embedding, depth, base) == usual && latent.rope.theta == 10_000 && latent.valueSize * n.headCount == n.hiddenSize
    let scalesAttention = if case .long(let long) = latent.rope.scaling { long.attentionFactor != 1 } else { latent.rope.scaling != .none }
    if !isUsual || scalesAttention {
      model.obstacles[.gguf] = "llama.cpp has fixed factors, value heads and rotary base in 'minicpm3', but this model has others"
    } else {
      model.configurations[.gguf] = stored(n, latent)
    }
    var stated = HuggingFaceKeys("MiniCPM3ForCausalLM", modelType: "minicpm3")
    guard stated.setCommon(n, rope: latent.rope, statesHeadSize: false) else { return model }
    stated.set("q_lora_rank", latent.queryRank ?? 0)
    stated.set("kv_lora_rank", latent.rank)
    stated.set("qk_nope_head_dim", latent.plainSize)
    stated.set("qk_rope_head_dim", latent.rotarySize)
    stated.set("v_head_dim", latent.valueSize)
    stated.set("scale_emb", embedding)
    stated.set("scale_depth", depth)
    stated.set("dim_model_base", base)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  private static func numbers(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> DecoderNumbers {
    var n = DecoderNumbers()
    n.hiddenSize = try keys.positiveSize("hidden_size", "embedding_length")
    n.blockCount = try keys.positiveSize("num_hidden_layers", "block_count")
    try keys.check(blockCount: n.blockCount, in: tensors)
    n.headCount = try keys.positiveSize("num_attention_heads", "attention.head_count")
    n.keyValueHeadCount = try keys.size("num_key_value_heads", "attention.head_count_kv") ?? n.headCount
    guard n.keyValueHeadCount == n.headCount else {
      throw keys.unsupported("model.head-count", "latent attention with shared key-value heads is not supported")
    }
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.size("max_position_embeddings", "context_length") ?? 0
    n.normEpsilon = try keys.number("rms_norm_eps", "attention.layer_norm_rms_epsilon") ?? 1e-5
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: true, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try keys.refuseActivations(otherThan: "silu")
    try keys.refuse("attention_bias", when: true, "attention biases are not supported")
    return n
  }

  private static func latent(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ tensors: Checkpoint) throws(Failure) -> LatentNumbers {
    var latent = LatentNumbers()
    latent.rank = try keys.positiveSize("kv_lora_rank", "attention.kv_lora_rank")
    latent.queryRank = try keys.positiveSize("q_lora_rank", "attention.q_lora_rank")
    latent.rotarySize = try keys.positiveSize("qk_rope_head_dim", "rope.dimension_count")
    let keySize = keys.isStored ? try keys.positiveSize("", "attention.key_length") : 0
    latent.plainSize = keys.isStored ? keySize - latent.rotarySize : try keys.positiveSize("qk_nope_head_dim", "")
    let valueSize = try keys.size("v_head_dim", "attention.value_length")
    latent.valueSize = if let valueSize { valueSize } else { try keys.headSize(hiddenSize: n.hiddenSize, heads: n.headCount) }
    guard latent.plainSize > 0, latent.rotarySize.isMultiple(of: 2) else {
      throw Failure(.data, "model.head-size", "latent attention has no such heads", file: keys.path)
    }
    // llama.cpp has one epsilon for all norms.
    if keys.isStored { latent.epsilon = n.normEpsilon }
    latent.rope = try keys.rope(headSize: latent.rotarySize, defaultTheta: 10_000, factors: nil, longTables: tensors)
    return latent
  }

  private static func stored(_ n: DecoderNumbers, _ latent: LatentNumbers) -> Configuration {
    var keys = GGUFKeys("minicpm3")
    keys.order = ["general.file_type", "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"]
    keys.order += ["attention.head_count_kv", "attention.layer_norm_rms_epsilon"]
    var plain = latent.rope
    plain.scaling = .none
    keys.setCommon(n, rope: plain, assumedTheta: 10_000, statesHeadSize: false)
    keys.set("vocab_size", n.vocabularySize)
    if let rank = latent.queryRank { keys.set("attention.q_lora_rank", rank) }
    keys.set("attention.kv_lora_rank", latent.rank)
    keys.set("attention.key_length", latent.keySize)
    keys.set("rope.dimension_count", latent.rotarySize)
    return keys.configuration
  }
}
