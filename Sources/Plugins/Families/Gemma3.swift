import FamilyKit
public import QuantCore

/// Gemma 3: norms before and after each branch; five blocks with an attention window for each block that attends to everything, which has
/// another base of the rotary embedding.
///
/// The traps: a folder stores `w` for gains of `1 + w`, and a GGUF stores the gains; embeddings are multiplied by the root of their
/// width (a model that runs in BF16 rounds it to that type; the engine here runs in 32 bits); scores are scaled by a value of their own,
/// for which a GGUF has no key; the configuration of a model with a vision tower omits all defaults. EmbeddingGemma is a Gemma 3 in which
/// every token sees those on both sides; its window is stated as a whole, half of it on each side.
public enum Gemma3: ModelFamily {
  /// Id of the family.
  public static let id = "gemma3"
  /// One sentence for lists.
  public static let summary = "Gemma 3, all sizes; only the language model of models with a vision tower; EmbeddingGemma"
  /// Report.
  public static let reference = "arXiv:2503.19786"

  /// The class of EmbeddingGemma, which `LanguageParts` recognises: without its key, it is a language model without an output matrix.
  static let encoder = "Gemma3TextModel"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf
      ? ["gemma3", "gemma-embedding"] : ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"]
  }

  /// Llama's names, with norms after both branches.
  private static let names: TensorNames = {
    func norm(_ role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace) -> TensorName {
      TensorName(role, huggingFace.storing(.plus(1)), gguf)
    }
    var names = TensorNames.llama
    names.rename(
      norm(.attentionNorm, "input_layernorm", "attn_norm"), norm(.queryNorm, "self_attn.q_norm", "attn_q_norm"),
      norm(.keyNorm, "self_attn.k_norm", "attn_k_norm"), norm(.feedForwardNorm, "pre_feedforward_layernorm", "ffn_norm"))
    names.insert(norm(.attentionOutputNorm, "post_attention_layernorm", "post_attention_norm"), after: .attentionOutput)
    names.insert(norm(.feedForwardOutputNorm, "post_feedforward_layernorm", "post_ffw_norm"), after: .down)
    names.back[0] = norm(.outputNorm, "norm", "output_norm")
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let isEncoder = ConfigurationKeys(configuration, path: tensors.path).isEncoder
    let view = LanguageModelView(configuration, tensors, as: isEncoder ? encoder : "Gemma3ForCausalLM")
    let keys = ConfigurationKeys(view.configuration, path: tensors.path)
    var names = names
    if isEncoder, keys.isStored { names.prefixes[.huggingFace] = "" }
    var n = try keys.decoderNumbers(defaultHeads: 8, defaultKeyValueHeads: 4, defaultHeadSize: 256, tensors: view.tensors)
    if n.contextLength == 0 { n.contextLength = 131_072 }
    let embedding = view.tensors[names.name(.tokenEmbedding, keys.isStored ? .gguf : .huggingFace) ?? ""]
    n.vocabularySize = try keys.vocabularySize(embedding)
    n.tiesEmbeddings = try keys.tiesEmbeddings(
      default: true, view.tensors, embedding: embedding?.name ?? "")
    try keys.refuse("attention_bias", when: true, "attention biases are not supported")
    if isEncoder, !keys.isStored, keys.json("use_bidirectional_attention")?.boolValue != true {
      throw keys.unsupported("model.variant", "a language model without its output matrix is not supported")
    }
    if !isEncoder { try keys.refuse("use_bidirectional_attention", when: true, "bidirectional attention is not supported") }
    // Gemma 2 had these; the transformers class reads and ignores them.
    if keys.json("attn_logit_softcapping") != nil { throw keys.unsupported("model.variant", "capped attention scores are not supported") }
    let blocks = try Gemma3Blocks(n, keys, isEncoder: isEncoder)
    let pooling = isEncoder ? try keys.pooling(tensors) : nil

    let numbers = n
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block throws(Failure) in
      [
        Branch(
          norm: numbers.rootMeanSquareNorm(.attentionNorm), blocks.attention(block),
          outputNorm: numbers.rootMeanSquareNorm(.attentionOutputNorm)),
        Branch(
          norm: numbers.rootMeanSquareNorm(.feedForwardNorm), numbers.feedForward(blocks.activation),
          outputNorm: numbers.rootMeanSquareNorm(.feedForwardOutputNorm)),
      ]
    }
    decoder.names = names
    decoder.embedding.scale = Float(n.hiddenSize).squareRoot()
    if isEncoder { decoder.head = HeadDescription(norm: decoder.head.norm, pooling: pooling ?? .mean) }
    decoder.head.cap = try keys.number("final_logit_softcapping", "final_logit_softcapping").map { Float($0) }
    var model = try decoder.describe()
    model.configurations[.huggingFace] = blocks.huggingFace(n, cap: decoder.head.cap).map { .huggingFace($0) }
    model.configurations[.gguf] = blocks.stored(n, cap: decoder.head.cap, pooling)
    return view.restored(model)
  }
}

extension ConfigurationKeys {
  /// Whether it is an EmbeddingGemma.
  fileprivate var isEncoder: Bool { [Gemma3.encoder, "gemma-embedding"].contains(configuration.architecture) }
}

/// How the blocks of a Gemma 3 differ, and what they have in common.
private struct Gemma3Blocks: Sendable {
  /// Which blocks have the window.
  let isWindowed: [Bool]
  let window: Int
  /// For blocks that attend to everything, and for those with a window.
  let (global, local): (Rope, Rope)
  /// Scores are divided by the root of this.
  let scoreDivisor: Double
  let activation: Activation
  /// Whether every token sees those on both sides.
  let isEncoder: Bool
  private let attention: Attention

  init(_ n: DecoderNumbers, _ keys: ConfigurationKeys, isEncoder: Bool) throws(Failure) {
    self.isEncoder = isEncoder
    let stated = try keys.size("sliding_window", "attention.sliding_window")
    window = stated ?? (keys.isStored ? 0 : 4096)
    isWindowed = try keys.windowedBlocks(n.blockCount, defaultPeriod: 6)
    global = try keys.rope(headSize: n.headSize, defaultTheta: 1_000_000, factors: nil, kind: "full_attention")
    let ofKind = keys.json("rope_parameters")?["sliding_attention"]?["rope_theta"]?.doubleValue
    let base = try keys.number("rope_local_base_freq", "rope.freq_base_swa")
    local = Rope(theta: ofKind ?? base ?? 10_000, dimension: n.headSize)
    scoreDivisor = keys.isStored ? Gemma3Blocks.assumedDivisor(n, isEncoder) : try keys.number("query_pre_attn_scalar", "") ?? 256
    activation = try keys.activation("hidden_activation", default: "gelu_pytorch_tanh")
    var attention = n.attention()
    attention.isCausal = !isEncoder
    (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
    attention.scale = Float(1 / scoreDivisor.squareRoot())
    self.attention = attention
  }

  /// What llama.cpp assumes: the head size, except for the model of 27 billion weights, which it recognises by its 62 blocks.
  private static func assumedDivisor(_ n: DecoderNumbers, _ isEncoder: Bool) -> Double {
    Double(n.blockCount == 62 && !isEncoder ? n.hiddenSize / n.headCount : n.headSize)
  }

  func attention(_ block: Int) -> Attention {
    var attention = attention
    let isWindowed = isWindowed[block] && window > 0
    attention.window = isWindowed ? (isEncoder ? window / 2 + 1 : window) : nil
    attention.rope = isWindowed ? local : global
    return attention
  }

  /// Nil if llama.cpp would compute something else.
  func stored(_ n: DecoderNumbers, cap: Float?, _ pooling: HeadDescription.Pooling?) -> Configuration? {
    guard scoreDivisor == Gemma3Blocks.assumedDivisor(n, isEncoder), activation == .geluTanh else { return nil }
    var keys = GGUFKeys(isEncoder ? "gemma-embedding" : "gemma3")
    keys.setCommon(n, rope: global, localTheta: local.theta, statesHeadSize: true)
    if let cap { keys.set("final_logit_softcapping", Double(cap)) }
    if window > 0 { keys.set("attention.sliding_window", window) }
    // Without a list, llama.cpp assumes that every sixth block attends to everything.
    if window > 0, isWindowed != isWindowed.indices.map({ ($0 + 1) % 6 != 0 }) {
      keys.set("attention.sliding_window_pattern", .bools(isWindowed))
    }
    keys.setEncoder(pooling, statesMask: false)
    return keys.configuration
  }

  /// Nil if the configuration has no name for a scaling of the rotary embedding.
  func huggingFace(_ n: DecoderNumbers, cap: Float?) -> JSON? {
    guard let scaling = global.huggingFaceScaling else { return nil }
    let kinds = isWindowed.map { JSON.string($0 && window > 0 ? "sliding_attention" : "full_attention") }
    return .object(
      [
        .init("architectures", .array([.string(isEncoder ? Gemma3.encoder : "Gemma3ForCausalLM")])),
        .init("model_type", .string("gemma3_text")),
        .init("hidden_activation", .string(activation == .gelu ? "gelu" : "gelu_pytorch_tanh")), .init("hidden_size", .int(n.hiddenSize)),
        .init("intermediate_size", .int(n.feedForwardSize)), .init("num_hidden_layers", .int(n.blockCount)),
        .init("num_attention_heads", .int(n.headCount)), .init("num_key_value_heads", .int(n.keyValueHeadCount)),
        .init("head_dim", .int(n.headSize)),
        // Newer classes insist on an integer.
        .init("query_pre_attn_scalar", Int(exactly: scoreDivisor).map { .int($0) } ?? .shortest(scoreDivisor)),
        .init("max_position_embeddings", .int(n.contextLength)), .init("vocab_size", .int(n.vocabularySize)),
        .init("rms_norm_eps", .shortest(n.normEpsilon)), .init("sliding_window", .int(window > 0 ? window : 4096)),
        .init("layer_types", .array(kinds)), .init("rope_theta", .shortest(global.theta)),
        .init("rope_local_base_freq", .shortest(local.theta)), .init("rope_scaling", scaling),
        .init("attn_logit_softcapping", .null),
        .init("final_logit_softcapping", cap.map { .shortest(Double($0)) } ?? .null), .init("attention_bias", .bool(false)),
        .init("tie_word_embeddings", .bool(n.tiesEmbeddings)),
      ] + (isEncoder ? [.init("use_bidirectional_attention", .bool(true))] : []))
  }
}
