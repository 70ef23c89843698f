import FamilyKit
public import QuantCore

/// gpt-oss: every other block has an attention window, every head has a score that belongs to no token (an attention sink), and every
/// linear layer has a bias; the gate and the other input of each expert are clamped.
///
/// The traps: a folder holds gate and up of all experts as alternating columns of one stack, which is transposed relative to linear
/// layers; and the ends of YaRN's ramp are not whole dimensions, for which a GGUF has no key, and llama.cpp rounds them.
public enum GptOss: ModelFamily {
  /// Id of the family.
  public static let id = "gpt-oss"
  /// One sentence for lists.
  public static let summary = "gpt-oss, both sizes"
  /// Model card.
  public static let reference = "arXiv:2508.10925"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["gpt-oss"] : ["GptOssForCausalLM"] }

  private static let names: TensorNames = {
    let fused = NamedPlace("mlp.experts.gate_up_proj").named(suffix: "", biasSuffix: "_bias").ordered(.rowsByTurns).transposed
    let down = NamedPlace("mlp.experts.down_proj").named(suffix: "", biasSuffix: "_bias").transposed
    var names = TensorNames.llama
    names.rename(
      TensorName(.feedForwardNorm, "post_attention_layernorm", "post_attention_norm"), TensorName(.router, "mlp.router", "ffn_gate_inp"),
      TensorName(expert: .gate, fused, "ffn_gate_exps"), TensorName(expert: .up, fused, "ffn_up_exps"),
      TensorName(expert: .down, down, "ffn_down_exps"))
    names.insert(TensorName(.sinks, NamedPlace("self_attn.sinks").named(suffix: ""), "attn_sinks"), after: .attentionOutput)
    return names
  }()

  /// What llama.cpp always computes with; a file cannot change it.
  private static let activation = Activation.clampedSwish(alpha: 1.702, limit: 7)

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var numbers = try keys.decoderNumbers(defaultKeyValueHeads: 8, defaultHeadSize: 64, defaultNormEpsilon: 1e-5, tensors: tensors)
    numbers.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    numbers.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    // A GGUF has a separate key for the channels inside an expert.
    let inner = "expert_feed_forward_length"
    if keys.metadata(inner) != nil { numbers.feedForwardSize = try keys.positiveSize("", inner) }
    let n = numbers
    let experts = try keys.experts(count: "num_local_experts", blocks: n.blockCount)
    let rope = try rope(keys, n), windows = try windows(keys, n.blockCount)
    let activation = Activation.clampedSwish(
      alpha: Float(try keys.number("swiglu_alpha", "") ?? 1.702), limit: Float(try keys.number("swiglu_limit", "") ?? 7))
    let hasAttentionBias = keys.json("attention_bias")?.boolValue ?? true

    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block throws(Failure) in
      var attention = n.attention(rope: rope)
      attention.hasSinks = true
      attention.window = windows[block]
      let routing = ExpertRouting(expertsPerToken: experts.used, weights: .softmaxOfChosen)
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention),
        Branch(
          norm: n.rootMeanSquareNorm(.feedForwardNorm),
          MixtureOfExperts(n.feedForward(activation), expertCount: experts.count, routing: routing)),
      ]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && !hasAttentionBias ? .never : .always }
    var model = try decoder.describe()
    guard activation == self.activation, hasAttentionBias else { return model }
    model.configurations[.gguf] = stored(n, rope, windows, experts)
    model.configurations[.huggingFace] = .huggingFace(json(n, rope, windows, experts))
    if case .yarn(let yarn) = rope.scaling, !yarn.isRounded {
      model.cautions[.gguf] = [
        "the ends of YaRN's ramp are not whole dimensions; a GGUF has no key for that, and llama.cpp rounds them: it computes logits that "
          + "differ a little from the folder's, and so does the evaluation of the GGUF"
      ]
    }
    return model
  }

  private static func rope(_ keys: ConfigurationKeys, _ n: DecoderNumbers) throws(Failure) -> Rope {
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 150_000, factors: nil, mayBeYarn: true)
    if let root = keys.configuration.json, root["rope_scaling"] == nil, root["rope_parameters"] == nil {
      rope.scaling = .yarn(Rope.Yarn(factor: 32, originalContext: 4096))
      rope = rope.withExactBorders
    }
    return rope
  }

  /// The window of each block. A GGUF means every other block, starting with the first.
  private static func windows(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int?] {
    let size = try keys.size("sliding_window", "attention.sliding_window") ?? (keys.isStored ? 0 : 128)
    let window = size > 0 ? size : nil
    guard let types = keys.json("layer_types")?.arrayValue else { return (0..<blocks).map { $0.isMultiple(of: 2) ? window : nil } }
    guard types.count == blocks else { throw keys.bad("layer_types", "has \(types.count) values for \(blocks) blocks") }
    return try types.map { (type) throws(Failure) in
      switch type.stringValue {
      case "sliding_attention": return window
      case "full_attention": return nil
      default: throw keys.bad("layer_types", "names an unknown kind of attention")
      }
    }
  }

  /// The keys of a GGUF; nil if llama.cpp would give windows to other blocks, or rotate differently: of YaRN it reads only the factor
  /// and the original context.
  private static func stored(
    _ n: DecoderNumbers, _ rope: Rope, _ windows: [Int?], _ experts: (count: Int, used: Int)
  ) -> Configuration? {
    guard let window = windows[0], windows.indices.allSatisfy({ windows[$0] == ($0.isMultiple(of: 2) ? window : nil) }) else { return nil }
    if case .yarn(let yarn) = rope.scaling {
      let usual = Rope.Yarn(factor: yarn.factor, originalContext: yarn.originalContext)
      guard yarn.attentionFactor == nil, yarn.betaFast == usual.betaFast, yarn.betaSlow == usual.betaSlow else { return nil }
    }
    var keys = GGUFKeys("gpt-oss")
    keys.setCommon(n, rope: rope, experts: experts, statesHeadSize: true)
    keys.set("attention.sliding_window", window)
    keys.set("expert_feed_forward_length", n.feedForwardSize)
    return keys.configuration
  }

  private static func json(_ n: DecoderNumbers, _ rope: Rope, _ windows: [Int?], _ experts: (count: Int, used: Int)) -> JSON {
    // A GGUF does not say this, so it is assumed to be as in all published models.
    let rope = rope.withExactBorders
    return .object([
      .init("architectures", .array([.string("GptOssForCausalLM")])), .init("model_type", .string("gpt_oss")),
      .init("hidden_act", .string("silu")), .init("hidden_size", .int(n.hiddenSize)), .init("intermediate_size", .int(n.feedForwardSize)),
      .init("num_hidden_layers", .int(n.blockCount)), .init("num_attention_heads", .int(n.headCount)),
      .init("num_key_value_heads", .int(n.keyValueHeadCount)), .init("head_dim", .int(n.headSize)),
      .init("num_local_experts", .int(experts.count)), .init("num_experts_per_tok", .int(experts.used)),
      .init("max_position_embeddings", .int(n.contextLength)), .init("vocab_size", .int(n.vocabularySize)),
      .init("rms_norm_eps", .shortest(n.normEpsilon)), .init("rope_theta", .shortest(rope.theta)),
      .init("rope_scaling", rope.huggingFaceScaling ?? .null),
      .init("sliding_window", windows.lazy.compactMap { $0 }.first.map { .int($0) } ?? .null),
      .init("layer_types", .array(windows.map { .string($0 == nil ? "full_attention" : "sliding_attention") })),
      .init("attention_bias", .bool(true)), .init("swiglu_limit", .shortest(7)), .init("tie_word_embeddings", .bool(n.tiesEmbeddings)),
    ])
  }
}

extension Rope {
  /// The same with the ends of YaRN's ramp at their exact, fractional positions; any other scaling is unchanged.
  fileprivate var withExactBorders: Rope {
    guard case .yarn(let yarn) = scaling else { return self }
    var exact = yarn
    exact.isRounded = false
    var rope = self
    rope.scaling = .yarn(exact)
    return rope
  }
}
