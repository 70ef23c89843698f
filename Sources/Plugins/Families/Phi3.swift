import FamilyKit
public import QuantCore

/// Phi-3, 3.5 and 4: Llama with two fused matrices, one for queries, keys and values, one for gate and up. The small Phi-4 rotates only a
/// part of each head.
///
/// The traps: the versions for long texts have two tables of rotary factors, and the length of the whole sequence decides between them;
/// llama.cpp decides by the size of its context. It also reads the attention window and does not use it.
public enum Phi3: ModelFamily {
  /// Id of the family.
  public static let id = "phi3"
  /// One sentence for lists.
  public static let summary = "Phi-3, Phi-3.5 and Phi-4, all with one feed-forward network per block"
  /// Paper.
  public static let reference = "arXiv:2404.14219"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["phi3"] : ["Phi3ForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.query, "self_attn.qkv_proj", "attn_qkv"), TensorName(.key, "self_attn.qkv_proj", "attn_qkv"),
      TensorName(.value, "self_attn.qkv_proj", "attn_qkv"), TensorName(.gate, "mlp.gate_up_proj", "ffn_up"),
      TensorName(.up, "mlp.gate_up_proj", "ffn_up"))
    return names
  }()
  /// What the class of transformers assumes for the length of texts before any scaling.
  private static let trainedLength = 4096

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10000, factors: nil, mayBePartial: true, longTables: tensors)
    let window = try keys.window()
    let trained = try keys.size("original_max_position_embeddings", "rope.scaling.original_context_length")
    let original = try trained ?? keys.nested("rope_parameters").size("original_max_position_embeddings", "") ?? trainedLength

    var attention = n.attention(rope: rope)
    attention.window = keys.isStored ? nil : window
    let branches = [
      Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ throws(Failure) in branches }
    decoder.names = names
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    // Tables of LongRoPE are tensors of their own, and no key names the type.
    var plain = rope
    if case .long(let long) = rope.scaling {
      plain.scaling = .none
      if long.originalContext < n.contextLength { model.cautions[.gguf, default: []].append(long.caution) }
    }
    model.obstacles[.gguf] = n.obstacle("phi3", rope: plain)
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("phi3")
      stored.order = [
        "rope.scaling.attn_factor", "context_length", "rope.scaling.original_context_length", "embedding_length", "feed_forward_length",
        "block_count",
      ]
      stored.order += ["attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "rope.dimension_count"]
      stored.setCommon(n, rope: plain, statesHeadSize: false)
      if case .long(let long) = rope.scaling { stored.set("rope.scaling.attn_factor", long.attentionFactor) }
      stored.set("rope.scaling.original_context_length", original)
      stored.set("rope.dimension_count", rope.dimension)
      stored.set("attention.sliding_window", window ?? 0)
      model.configurations[.gguf] = stored.configuration
    }
    if let window, window < n.contextLength, !keys.isStored {
      model.cautions[.gguf, default: []].append(
        "llama.cpp does not use the attention window of \(window) tokens: it attends to all of a longer text")
    }
    var stated = HuggingFaceKeys("Phi3ForCausalLM", modelType: "phi3")
    if stated.setCommon(n, rope: rope, statesHeadSize: !n.headsFillWidth) {
      if plain == rope { stated.set("original_max_position_embeddings", original) }
      stated.set("sliding_window", window.map { .int($0) } ?? .null)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
