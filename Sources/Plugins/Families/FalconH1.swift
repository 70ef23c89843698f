import FamilyKit
public import QuantCore

/// Falcon-H1: an attention and Mamba-2 side by side on the same norm in every block. A folder states factors of many products; here, and in
/// a GGUF, they are multiplied into the weights.
///
/// The trap: that product is exact in 32 bits only, so weights of 16 bits change a little on their way into a GGUF and back.
public enum FalconH1: ModelFamily {
  /// Id of the family.
  public static let id = "falcon-h1"
  /// One sentence for lists.
  public static let summary = "Falcon-H1, attention and Mamba-2 side by side"
  /// Paper.
  public static let reference = "arXiv:2507.22448"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["falcon-h1"] : ["FalconH1ForCausalLM"] }

  /// What a folder multiplies products by. A GGUF has done it already.
  private struct Factors {
    var embedding = 1.0, output = 1.0, key = 1.0, attentionInput = 1.0, attentionOutput = 1.0, mixerInput = 1.0, mixerOutput = 1.0
    /// Of the gate and of the output of the feed-forward network.
    var feedForward = [1.0, 1.0]
    /// Of z, x, B, C and dt.
    var products = [1.0, 1.0, 1.0, 1.0, 1.0]

    init(_ keys: ConfigurationKeys) throws(Failure) {
      func number(_ key: String) throws(Failure) -> Double { try keys.isStored ? 1 : keys.number(key, "") ?? 1 }
      func numbers(_ key: String, _ count: Int) throws(Failure) -> [Double] {
        guard let stated = keys.json(key) else { return [Double](repeating: 1, count: count) }
        let values = stated.arrayValue?.compactMap(\.doubleValue) ?? []
        guard values.count == count, values.allSatisfy({ $0.isFinite && $0 != 0 }) else {
          throw keys.bad(key, "is not a list of \(count) numbers other than 0")
        }
        return values
      }
      embedding = try number("embedding_multiplier")
      output = try number("lm_head_multiplier")
      key = try number("key_multiplier")
      attentionInput = try number("attention_in_multiplier")
      attentionOutput = try number("attention_out_multiplier")
      mixerInput = try number("ssm_in_multiplier")
      mixerOutput = try number("ssm_out_multiplier")
      feedForward = try numbers("mlp_multipliers", 2)
      products = try numbers("ssm_multipliers", 5)
    }

    static func place(_ name: String, _ factors: Double...) -> NamedPlace { NamedPlace(name).storing(.product(factors)) }
  }

  private static func names(_ factors: Factors, _ mixer: Mamba2) -> TensorNames {
    var names = TensorNames.llama
    names.rename(
      TensorName(.query, Factors.place("self_attn.q_proj", factors.attentionInput), "attn_q"),
      TensorName(.key, Factors.place("self_attn.k_proj", factors.key, factors.attentionInput), "attn_k"),
      TensorName(.value, Factors.place("self_attn.v_proj", factors.attentionInput), "attn_v"),
      TensorName(.attentionOutput, Factors.place("self_attn.o_proj", factors.attentionOutput), "attn_output"),
      TensorName(.feedForwardNorm, "pre_ff_layernorm", NamedPlace("ffn_norm").named(suffix: "")),
      TensorName(.gate, Factors.place("feed_forward.gate_proj", factors.feedForward[0]), "ffn_gate"),
      TensorName(.up, "feed_forward.up_proj", "ffn_up"),
      TensorName(.down, Factors.place("feed_forward.down_proj", factors.feedForward[1]), "ffn_down"))
    names.front = [TensorName(.tokenEmbedding, Factors.place("embed_tokens", factors.embedding), "token_embd")]
    var output = Factors.place("lm_head", factors.output)
    output.isOutside = true
    names.back = [TensorName(.outputNorm, "final_layernorm", "output_norm"), TensorName(.output, output, "output")]
    names.insertMamba2(
      mixer, module: "mamba", after: .attentionOutput, factors: factors.products.map { [factors.mixerInput, $0] },
      outputFactor: factors.mixerOutput)
    return names
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 8, epsilon: 1e-5, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 100_000, factors: nil)
    let factors = try Factors(keys)
    let hasNorm = keys.isStored ? tensors["blk.0.ssm_norm.weight"] != nil : keys.json("mamba_rms_norm")?.boolValue ?? false
    let expand = keys.json("mamba_expand") == nil ? 2 : try keys.positiveSize("mamba_expand", "")
    var mixer = try keys.mamba2(
      .hybrid,
      defaults: Mamba2(
        width: n.hiddenSize, headCount: 128, headSize: 64, stateSize: 256, groupCount: 1, kernelSize: 4,
        norm: hasNorm ? n.rootMeanSquareNorm(.mixerNorm) : nil),
      innerSize: try keys.size("mamba_d_ssm", "") ?? expand * n.hiddenSize, tensors: tensors)
    mixer.normalisesBeforeGate = !keys.isStored && keys.json("mamba_norm_before_gate")?.boolValue ?? true
    for key in ["mamba_proj_bias", "projectors_bias", "attention_bias", "mlp_bias"] {
      try keys.refuse(key, when: true, "biases of linear layers are not supported")
    }
    if n.tiesEmbeddings, factors.embedding != factors.output {
      throw keys.unsupported("model.variant", "a tied output matrix with another factor than the embedding's is not supported")
    }
    let part = mixer
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: rope)),
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), part, readsWithPrevious: true),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.names = names(factors, part)
    var model = try decoder.describe()
    model.obstacles[.gguf] =
      hasNorm && part.normalisesBeforeGate
      ? "llama.cpp normalises the results of 'falcon-h1' after the gate, but this model before it" : rope.obstacle("falcon-h1")
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(n, rope, part) }
    model.configurations[.huggingFace] = stated(n, rope, part, factors)
    return model
  }

  private static func stored(_ n: DecoderNumbers, _ rope: Rope, _ part: Mamba2) -> Configuration {
    var stored = GGUFKeys("falcon-h1")
    stored.set("context_length", n.contextLength)
    stored.set("embedding_length", n.hiddenSize)
    stored.set("feed_forward_length", n.feedForwardSize)
    stored.set("attention.head_count", n.headCount)
    stored.set("block_count", n.blockCount)
    stored.order = [
      "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "block_count", "ssm.conv_kernel",
      "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank",
    ]
    stored.setMamba2(part)
    stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
    stored.setFileType()
    stored.set("vocab_size", n.vocabularySize)
    stored.set("attention.head_count_kv", n.keyValueHeadCount)
    stored.set("attention.key_length", n.headSize)
    stored.set("attention.value_length", n.headSize)
    stored.set("rope.freq_base", rope.theta)
    return stored.configuration
  }

  private static func stated(_ n: DecoderNumbers, _ rope: Rope, _ part: Mamba2, _ factors: Factors) -> Configuration? {
    var stated = HuggingFaceKeys("FalconH1ForCausalLM", modelType: "falcon_h1")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return nil }
    stated.setMamba2(part, .hybrid, hasBiases: false)
    stated.set("mamba_d_ssm", part.innerSize)
    stated.set("mamba_rms_norm", part.norm != nil)
    stated.set("mamba_norm_before_gate", part.normalisesBeforeGate)
    stated.set("embedding_multiplier", factors.embedding)
    stated.set("lm_head_multiplier", factors.output)
    stated.set("key_multiplier", factors.key)
    stated.set("attention_in_multiplier", factors.attentionInput)
    stated.set("attention_out_multiplier", factors.attentionOutput)
    stated.set("ssm_in_multiplier", factors.mixerInput)
    stated.set("ssm_out_multiplier", factors.mixerOutput)
    stated.set("mlp_multipliers", .array(factors.feedForward.map { .shortest($0) }))
    stated.set("ssm_multipliers", .array(factors.products.map { .shortest($0) }))
    return stated.configuration
  }
}
