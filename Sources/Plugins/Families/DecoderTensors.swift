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
      tensor(TensorID(.tokenEmbedding), embedding, "model.embed_tokens.weight", "token_embd.weight")
    ]
    for block in 0..<p.blockCount { tensors += blockTensors(block, p, keys) }
    tensors.append(tensor(TensorID(.outputNorm), [p.hiddenSize], "model.norm.weight", "output_norm.weight"))
    tensors.append(tensor(TensorID(.output), embedding, "lm_head.weight", "output.weight", isOptional: p.tiesEmbeddings))
    if case .factors(let factors) = p.rope.scaling {
      tensors.append(
        ModelTensor(
          id: TensorID(.ropeFactors), shape: [factors.count], huggingFace: nil,
          gguf: TensorPlace("rope_freqs.weight", [factors.count]), isOptional: true))
    }
    return tensors
  }

  private func tensor(
    _ id: TensorID, _ shape: [Int], _ huggingFace: String, _ gguf: String, order: RowOrder = .same, isOptional: Bool = false
  ) -> ModelTensor {
    ModelTensor(
      id: id, shape: shape, huggingFace: TensorPlace(huggingFace, shape), gguf: TensorPlace(gguf, shape, RowLayout(order: order)),
      isOptional: isOptional)
  }

  private func blockTensors(_ block: Int, _ p: HyperParameters, _ keys: ConfigurationKeys) -> [ModelTensor] {
    var tensors: [ModelTensor] = []
    for (role, huggingFace, gguf) in blockNames {
      let isHeadNorm = role == .queryNorm || role == .keyNorm
      if isHeadNorm && !normalisesHeads { continue }
      if p.expertCount > 0 && [.gate, .up, .down].contains(role) { continue }
      let shape = shape(of: role, p)
      let order = rowOrder(of: role, p)
      let names = ("model.layers.\(block).\(huggingFace)", "blk.\(block).\(gguf)")
      tensors.append(tensor(TensorID(role, block: block), shape, names.0 + ".weight", names.1 + ".weight", order: order))
      guard shape.count == 2, biased.contains(role) || mayHaveBias(role, keys) else { continue }
      tensors.append(
        tensor(
          TensorID(role, block: block, isBias: true), [shape[0]], names.0 + ".bias", names.1 + ".bias", order: order,
          isOptional: !biased.contains(role)))
    }
    return tensors + (p.expertCount > 0 ? expertTensors(block, p) : [])
  }

  /// A router, and for every expert the matrices that a GGUF stacks.
  private func expertTensors(_ block: Int, _ p: HyperParameters) -> [ModelTensor] {
    let folder = "model.layers.\(block).block_sparse_moe"
    var tensors = [
      tensor(
        TensorID(.router, block: block), [p.expertCount, p.hiddenSize], folder + ".gate.weight", "blk.\(block).ffn_gate_inp.weight")
    ]
    for (role, huggingFace, gguf) in [(TensorRole.gate, "w1", "ffn_gate_exps"), (.up, "w3", "ffn_up_exps"), (.down, "w2", "ffn_down_exps")]
    {
      let shape = shape(of: role, p)
      for expert in 0..<p.expertCount {
        tensors.append(
          ModelTensor(
            id: TensorID(role, block: block, expert: expert), shape: shape,
            huggingFace: TensorPlace("\(folder).experts.\(expert).\(huggingFace).weight", shape),
            gguf: TensorPlace(
              "blk.\(block).\(gguf).weight", [p.expertCount] + shape, RowLayout(firstRow: expert * shape[0]))))
      }
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
