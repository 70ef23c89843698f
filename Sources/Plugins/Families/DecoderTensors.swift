import QuantCore

/// The names of a block's tensors, in the order of the forward pass.
private let blockNames: [(role: TensorRole, huggingFace: String, gguf: String)] = [
  (.attentionNorm, "input_layernorm", "attn_norm"),
  (.query, "self_attn.q_proj", "attn_q"),
  (.key, "self_attn.k_proj", "attn_k"),
  (.value, "self_attn.v_proj", "attn_v"),
  (.queryNorm, "self_attn.q_norm", "attn_q_norm"),
  (.keyNorm, "self_attn.k_norm", "attn_k_norm"),
  (.attentionOutput, "self_attn.o_proj", "attn_output"),
  (.feedForwardNorm, "post_attention_layernorm", "ffn_norm"),
  (.gate, "mlp.gate_proj", "ffn_gate"),
  (.up, "mlp.up_proj", "ffn_up"),
  (.down, "mlp.down_proj", "ffn_down"),
]

extension DecoderTraits {
  /// Every tensor that a model of these numbers may have.
  func modelTensors(_ p: HyperParameters, _ keys: ConfigurationKeys) -> [ModelTensor] {
    let embedding = [p.vocabularySize, p.hiddenSize]
    var tensors = [
      ModelTensor(
        id: TensorID(.tokenEmbedding), huggingFaceName: "model.embed_tokens.weight", ggufName: "token_embd.weight", shape: embedding)
    ]
    for block in 0..<p.blockCount { tensors += blockTensors(block, p, keys) }
    tensors.append(
      ModelTensor(
        id: TensorID(.outputNorm), huggingFaceName: "model.norm.weight", ggufName: "output_norm.weight", shape: [p.hiddenSize]))
    tensors.append(
      ModelTensor(
        id: TensorID(.output), huggingFaceName: "lm_head.weight", ggufName: "output.weight", shape: embedding,
        isOptional: p.tiesEmbeddings))
    if case .factors(let factors) = p.rope.scaling {
      tensors.append(
        ModelTensor(
          id: TensorID(.ropeFactors), huggingFaceName: "rope_freqs.weight", ggufName: "rope_freqs.weight", shape: [factors.count],
          isOptional: true))
    }
    return tensors
  }

  private func blockTensors(_ block: Int, _ p: HyperParameters, _ keys: ConfigurationKeys) -> [ModelTensor] {
    var tensors: [ModelTensor] = []
    for (role, huggingFace, gguf) in blockNames {
      let isHeadNorm = role == .queryNorm || role == .keyNorm
      if isHeadNorm && !normalisesHeads { continue }
      let shape = shape(of: role, p)
      let order = rowOrder(of: role, p)
      tensors.append(
        ModelTensor(
          id: TensorID(role, block: block), huggingFaceName: "model.layers.\(block).\(huggingFace).weight",
          ggufName: "blk.\(block).\(gguf).weight", shape: shape, ggufRowOrder: order))
      guard shape.count == 2, biased.contains(role) || mayHaveBias(role, keys) else { continue }
      tensors.append(
        ModelTensor(
          id: TensorID(role, block: block, isBias: true), huggingFaceName: "model.layers.\(block).\(huggingFace).bias",
          ggufName: "blk.\(block).\(gguf).bias", shape: [shape[0]], ggufRowOrder: order, isOptional: !biased.contains(role)))
    }
    return tensors
  }

  private func shape(of role: TensorRole, _ p: HyperParameters) -> [Int] {
    let queries = p.headCount * p.headSize
    let keys = p.keyValueHeadCount * p.headSize
    return switch role {
    case .query: [queries, p.hiddenSize]
    case .key, .value: [keys, p.hiddenSize]
    case .attentionOutput: [p.hiddenSize, queries]
    case .gate, .up: [p.feedForwardSize, p.hiddenSize]
    case .down: [p.hiddenSize, p.feedForwardSize]
    case .queryNorm, .keyNorm: [p.headSize]
    default: [p.hiddenSize]
    }
  }

  private func rowOrder(of role: TensorRole, _ p: HyperParameters) -> RowOrder {
    guard interleavesRotaryRows else { return .same }
    return switch role {
    case .query: .rotaryPairs(headCount: p.headCount)
    case .key: .rotaryPairs(headCount: p.keyValueHeadCount)
    default: .same
    }
  }

  /// A `config.json` says whether there are biases; a GGUF just has them.
  private func mayHaveBias(_ role: TensorRole, _ keys: ConfigurationKeys) -> Bool {
    guard mayHaveBiases else { return false }
    if case .gguf = keys.configuration { return true }
    let isFeedForward = role == .gate || role == .up || role == .down
    return keys.json(isFeedForward ? "mlp_bias" : "attention_bias")?.boolValue ?? false
  }
}
