import FamilyKit
import QuantCore

/// What Gemma 3n and 4 have in common: windows in most blocks; last blocks that use the keys and values of earlier ones of their kind; an
/// embedding of the token for each block; normalized queries, keys and values, whose products are not scaled.
struct GemmaParts: Sendable {
  /// Which blocks have the window.
  let isWindowed: [Bool]
  /// From this block on, blocks use the keys and values of earlier ones.
  let firstSharing: Int
  /// Nil: blocks have no embeddings.
  let embedding: BlockEmbedding?
  let gate: EmbeddingGate?

  /// - Parameters:
  ///   - isWindowed: which blocks have the window.
  ///   - defaultSharing: how many blocks use keys and values of others, if a `config.json` does not state it.
  init(
    _ keys: ConfigurationKeys, _ n: DecoderNumbers, isWindowed: [Bool], defaultSharing: Int, _ activation: Activation
  ) throws(Failure) {
    self.isWindowed = isWindowed
    let sharing = try keys.size("num_kv_shared_layers", "attention.shared_kv_layers") ?? (keys.isStored ? 0 : defaultSharing)
    let isAbsent = (keys.configuration.json ?? .null)["hidden_size_per_layer_input"] == nil && !keys.isStored
    let width = try keys.size("hidden_size_per_layer_input", "embedding_length_per_layer_input") ?? (isAbsent ? 256 : 0)
    let first = n.blockCount - sharing
    guard sharing == 0 || first > 0, isWindowed[max(0, first)...].allSatisfy({ isWindowed[..<max(0, first)].contains($0) }) else {
      throw keys.bad(
        keys.name("num_kv_shared_layers", "attention.shared_kv_layers"), "leaves no block of some kind with keys and values of its own")
    }
    firstSharing = first
    guard width > 0 else {
      (embedding, gate) = (nil, nil)
      return
    }
    let rows = try keys.size("vocab_size_per_layer_input", "") ?? (keys.isStored ? n.vocabularySize : 262_144)
    guard n.vocabularySize <= 1 << 24, rows > 0 else { throw keys.bad("vocab_size_per_layer_input", "is out of range") }
    embedding = BlockEmbedding(
      width: width, rows: rows, scale: Float(width).squareRoot(), projectionScale: 1 / Float(n.hiddenSize).squareRoot(),
      norm: n.rootMeanSquareNorm(.blockEmbeddingNorm), sumScale: Float(0.5).squareRoot())
    gate = EmbeddingGate(width: n.hiddenSize, innerSize: width, activation: activation)
  }

  /// Reads the vocabulary, and whether the output matrix is the embedding.
  static func readVocabulary(_ n: inout DecoderNumbers, _ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) {
    let embedding = tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"]
    n.vocabularySize = try keys.vocabularySize(embedding)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: true, tensors, embedding: "model.embed_tokens.weight")
  }

  /// The rotary embedding of blocks with a window.
  static func windowRope(_ keys: ConfigurationKeys, headSize: Int) throws(Failure) -> Rope {
    let stated = keys.json("rope_parameters")?["sliding_attention"]
    let theta = try stated?["rope_theta"].map { value throws(Failure) in try keys.positive(value.doubleValue, "rope_theta") }
    let older = try keys.number("rope_local_base_freq", "rope.freq_base_swa")
    return Rope(theta: theta ?? older ?? 10_000, dimension: headSize, scaling: try keys.scaling(of: stated ?? .null))
  }

  /// Sets what all attentions have in common.
  func complete(_ attention: inout Attention, block: Int, _ n: DecoderNumbers) {
    (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
    attention.valueNorm = Norm(.valueNorm, .rootMeanSquare, epsilon: n.normEpsilon, hasGain: false)
    attention.scale = 1
    let kind = isWindowed[block] ? "window" : "all"
    let giver = isWindowed[..<firstSharing].lastIndex(of: isWindowed[block])
    if block >= firstSharing { attention.sharing = .takes(kind) }
    if block == giver, isWindowed[firstSharing...].contains(isWindowed[block]) { attention.sharing = .gives(kind) }
  }

  /// Llama's names, with norms behind both branches, and the tensors of embeddings of blocks.
  static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(TensorName(.feedForwardNorm, "pre_feedforward_layernorm", "ffn_norm"))
    names.insert(TensorName(.attentionOutputNorm, "post_attention_layernorm", "post_attention_norm"), after: .attentionOutput)
    names.insert(
      TensorName(.feedForwardOutputNorm, "post_feedforward_layernorm", "post_ffw_norm"),
      TensorName(.embeddingGate, "per_layer_input_gate", "inp_gate"), TensorName(.embeddingGateOutput, "per_layer_projection", "proj"),
      TensorName(.embeddingGateNorm, "post_per_layer_input_norm", "post_norm"), after: .down)
    names.front += [
      TensorName(.blockEmbedding, "embed_tokens_per_layer", "per_layer_token_embd"),
      TensorName(.blockEmbeddingProjection, "per_layer_model_projection", "per_layer_model_proj"),
      TensorName(.blockEmbeddingNorm, "per_layer_projection_norm", "per_layer_proj_norm"),
    ]
    return names
  }()

  /// States what configurations of both generations call alike.
  /// - Returns: false if the configuration has no name for a scaling of the rotary embedding; then nothing is stated.
  func state(
    _ keys: inout HuggingFaceKeys, _ n: DecoderNumbers, _ activation: Activation, cap: Double?, window: Int, local: Rope, global: Rope
  ) -> Bool {
    func parameters(_ rope: Rope) -> JSON? {
      let type = [JSON.Member("rope_type", .string("default"))]
      return rope.huggingFaceScaling.map { .object([.init("rope_theta", .shortest(rope.theta))] + ($0.objectValue ?? type)) }
    }
    guard let ofAll = parameters(global), let ofWindows = parameters(local) else { return false }
    keys.set("hidden_activation", .string(activation == .gelu ? "gelu" : "gelu_pytorch_tanh"))
    keys.set("hidden_size", n.hiddenSize)
    keys.set("num_hidden_layers", n.blockCount)
    keys.set("num_attention_heads", n.headCount)
    keys.set("num_kv_shared_layers", n.blockCount - firstSharing)
    keys.set("max_position_embeddings", n.contextLength)
    keys.set("vocab_size", n.vocabularySize)
    keys.set("rms_norm_eps", n.normEpsilon)
    keys.set("sliding_window", window)
    keys.set("layer_types", .array(isWindowed.map { .string($0 ? "sliding_attention" : "full_attention") }))
    keys.set("rope_parameters", .object([.init("full_attention", ofAll), .init("sliding_attention", ofWindows)]))
    keys.set("final_logit_softcapping", cap.map { .shortest($0) } ?? .null)
    keys.set("attention_bias", false)
    keys.set("tie_word_embeddings", n.tiesEmbeddings)
    return true
  }
}
