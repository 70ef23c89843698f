import FamilyKit
public import QuantCore

/// ModernBERT: an encoder with norms before the branches, a rotary embedding and gated feed-forward networks. One block of three sees
/// the whole text; the others see a window on both sides and have another base of the rotary embedding.
///
/// The traps: the first block has no norm before its attention, because the embedding was normalised; the window is stated as a whole,
/// half of it on each side; the first half of a feed-forward matrix is the gate.
public enum ModernBert: ModelFamily {
  /// Id of the family.
  public static let id = "modernbert"
  /// One sentence for lists.
  public static let summary = "ModernBERT: an encoder, judged by its vectors"
  /// Paper.
  public static let reference = "arXiv:2412.13663"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf
      ? ["modern-bert"]
      : ["Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"].map { "ModernBert" + $0 }
  }

  private static let names: TensorNames = {
    let (fused, inner) = (NamedPlace("attn.Wqkv"), NamedPlace("mlp.Wi"))
    return TensorNames(
      front: [
        TensorName(.tokenEmbedding, "embeddings.tok_embeddings", "token_embd"),
        TensorName(.embeddingNorm, "embeddings.norm", "token_embd_norm"),
      ],
      block: [
        TensorName(.attentionNorm, "attn_norm", "attn_norm"), TensorName(.query, fused, "attn_qkv"), TensorName(.key, fused, "attn_qkv"),
        TensorName(.value, fused, "attn_qkv"), TensorName(.attentionOutput, "attn.Wo", "attn_output"),
        TensorName(.feedForwardNorm, "mlp_norm", "ffn_norm"), TensorName(.gate, inner, "ffn_up"), TensorName(.up, inner, "ffn_up"),
        TensorName(.down, "mlp.Wo", "ffn_down"),
      ],
      back: [TensorName(.outputNorm, "final_norm", "output_norm")], prefixes: [:])
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var names = names
    names.choosePrefix(["", "model."], in: tensors)
    let epsilon = try keys.number("norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    var n = try keys.layerNormNumbers(
      hidden: ["hidden_size"], blocks: ["num_hidden_layers"], heads: ["num_attention_heads"], epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize("intermediate_size", "feed_forward_length")
    n.contextLength = try keys.positiveSize("max_position_embeddings", "context_length")
    n.vocabularySize = try keys.vocabularySize(tensors[names.name(.tokenEmbedding, keys.isStored ? .gguf : .huggingFace) ?? ""])
    let blocks = try ModernBertBlocks(n, keys)
    let stated = try keys.pooling(tensors)

    let numbers = n
    var decoder = Decoder(family: id, numbers: n, norm: nil) { block throws(Failure) in
      [
        Branch(norm: block == 0 ? nil : numbers.layerNorm(.attentionNorm), blocks.attention(block)),
        Branch(norm: numbers.layerNorm(.feedForwardNorm), numbers.feedForward(blocks.activation)),
      ]
    }
    decoder.names = names
    decoder.embedding.norm = n.layerNorm(.embeddingNorm)
    decoder.head = HeadDescription(norm: n.layerNorm(.outputNorm), pooling: stated ?? .mean)
    decoder.normBias = keys.flag("norm_bias") ? .always : .never
    decoder.bias = { tensor in keys.flag(tensor.kind == .feedForward ? "mlp_bias" : "attention_bias") ? .always : .never }
    var model = try decoder.describe()
    model.otherParts[.huggingFace] = ["head.", "decoder.", "classifier."]
    model.otherParts[.gguf] = ["cls."]
    model.obstacles[.gguf] = blocks.obstacle(keys)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = blocks.stored(n, keys, stated) }
    if keys.isStored { model.configurations[.huggingFace] = blocks.huggingFace(n) }
    return model
  }
}

extension ConfigurationKeys {
  fileprivate func flag(_ key: String) -> Bool { json(key)?.boolValue ?? false }
}

/// How the blocks differ.
private struct ModernBertBlocks: Sendable {
  /// Every so many blocks, beginning with the first, one has no window.
  let period: Int
  /// Of both sides together; 0: there is none.
  let window: Int
  let (global, local): (Rope, Rope)
  let activation: Activation
  private let whole: Attention

  init(_ n: DecoderNumbers, _ keys: ConfigurationKeys) throws(Failure) {
    window = try keys.size("local_attention", "attention.sliding_window") ?? (keys.isStored ? 0 : 128)
    period = max(1, try keys.size("global_attn_every_n_layers", "attention.sliding_window_pattern") ?? 3)
    let kinds = keys.json("rope_parameters")
    func theta(_ kind: String, _ key: String, _ stored: String, _ value: Double) throws(Failure) -> Double {
      if let theta = kinds?[kind]?["rope_theta"] { return try keys.positive(theta.doubleValue, "rope_theta") }
      return try keys.number(key, stored) ?? value
    }
    let base = try theta("full_attention", "global_rope_theta", "rope.freq_base", keys.isStored ? 10_000 : 160_000)
    global = Rope(theta: base, dimension: n.headSize)
    // A null base in windows means the other one.
    let isNull = keys.configuration.json?["local_rope_theta"]?.isNull == true
    local = Rope(
      theta: try theta("sliding_attention", "local_rope_theta", "rope.freq_base_swa", keys.isStored || isNull ? base : 10_000),
      dimension: n.headSize)
    for kind in ["full_attention", "sliding_attention"] where try keys.scaling(of: kinds?[kind] ?? .null) != .none {
      throw keys.unsupported("model.rope-scaling", "a scaled rotary embedding is not supported")
    }
    if let types = keys.json("layer_types")?.arrayValue {
      let period = period
      let expected = (0..<n.blockCount).map { $0 % period == 0 ? "full_attention" : "sliding_attention" }
      guard types.map(\.stringValue) == expected else {
        throw keys.unsupported("model.blocks-differ", "windows in other blocks than all but every \(period)th are not supported")
      }
    }
    let name = keys.metadata("hidden_activation")?.stringValue ?? keys.json("hidden_activation")?.stringValue
    activation = name == "silu" ? .silu : keys.isStored ? .gelu : try keys.activation("hidden_activation", default: "gelu")
    var attention = n.attention()
    attention.isCausal = false
    whole = attention
  }

  func attention(_ block: Int) -> Attention {
    var attention = whole
    let isGlobal = block % period == 0 || window == 0
    attention.rope = isGlobal ? global : local
    attention.window = isGlobal ? nil : window / 2 + 1
    return attention
  }

  func obstacle(_ keys: ConfigurationKeys) -> String? {
    if ["norm_bias", "attention_bias", "mlp_bias"].contains(where: { keys.flag($0) }) {
      return "llama.cpp has no biases in 'modern-bert', but this model has some"
    }
    if activation != .gelu, activation != .silu { return "llama.cpp has GELU and SiLU in 'modern-bert', but this model has neither" }
    return nil
  }

  func stored(_ n: DecoderNumbers, _ keys: ConfigurationKeys, _ pooling: HeadDescription.Pooling?) -> Configuration {
    var stored = GGUFKeys("modern-bert")
    stored.order = [
      "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "rope.freq_base",
      "rope.freq_base_swa", "attention.layer_norm_rms_epsilon",
    ]
    stored.setCommon(
      n, rope: global, localTheta: local.theta, layerNorms: true, statesKeyValueHeads: false, statesHeadSize: n.statesHeadSize)
    stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
    stored.setEncoder(pooling)
    let classifier = keys.json("classifier_pooling")?.stringValue.flatMap { HeadDescription.Pooling(rawValue: $0) }
    if let classifier { stored.set("classifier.pooling_type", classifier.number) }
    if window > 0 {
      stored.set("attention.sliding_window", window)
      stored.set("attention.sliding_window_pattern", period)
    }
    stored.set("rope.scaling.type", .string("none"))
    stored.set("vocab_size", n.vocabularySize)
    stored.set("hidden_activation", .string(activation == .silu ? "silu" : "gelu"))
    stored.setAdded("bos", "eos", "sep", to: true)
    return stored.configuration
  }

  func huggingFace(_ n: DecoderNumbers) -> Configuration {
    var keys = HuggingFaceKeys("ModernBertModel", modelType: "modernbert")
    keys.set("hidden_activation", .string(activation == .silu ? "silu" : "gelu"))
    keys.set("hidden_size", n.hiddenSize)
    keys.set("intermediate_size", n.feedForwardSize)
    keys.set("num_hidden_layers", n.blockCount)
    keys.set("num_attention_heads", n.headCount)
    keys.set("max_position_embeddings", n.contextLength)
    keys.set("vocab_size", n.vocabularySize)
    keys.set("norm_eps", n.normEpsilon)
    keys.set("layer_norm_eps", n.normEpsilon)
    keys.set("local_attention", window > 0 ? window : 2 * n.contextLength)
    keys.set("global_attn_every_n_layers", period)
    keys.set("global_rope_theta", global.theta)
    keys.set("local_rope_theta", local.theta)
    for flag in ["attention_bias", "mlp_bias", "norm_bias"] { keys.set(flag, false) }
    return keys.configuration
  }
}
