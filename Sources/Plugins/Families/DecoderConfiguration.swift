import QuantCore

extension DecoderTraits {
  /// A class of transformers.
  private struct ModelClass {
    var architecture: String
    var modelType: String
    var statesBiases = false
    /// Whether a key besides `sliding_window` switches the window on.
    var switchesWindow = false
  }

  /// A GGUF calls Mistral and Mixtral `llama`: the numbers tell them apart.
  private func modelClass(_ p: HyperParameters) -> ModelClass {
    switch family {
    case "qwen2": ModelClass(architecture: "Qwen2ForCausalLM", modelType: "qwen2", switchesWindow: true)
    case "qwen3": ModelClass(architecture: "Qwen3ForCausalLM", modelType: "qwen3", statesBiases: true, switchesWindow: true)
    default:
      if p.expertCount > 0 {
        ModelClass(architecture: "MixtralForCausalLM", modelType: "mixtral")
      } else if family == "mistral" || p.slidingWindow != nil {
        ModelClass(architecture: "MistralForCausalLM", modelType: "mistral")
      } else {
        ModelClass(architecture: "LlamaForCausalLM", modelType: "llama", statesBiases: true)
      }
    }
  }

  /// The `config.json` of a model: the keys that `describe` reads, with what gives the same numbers.
  /// - Returns: nil where no class has these biases, or no rule gives the stored rotary factors.
  func huggingFaceConfiguration(of model: ModelDescription, stored: Checkpoint) -> JSON? {
    let p = model.parameters, kind = modelClass(model.parameters)
    guard let attentionBias = haveBias([.query, .key, .value, .attentionOutput], model, stored),
      let feedForwardBias = p.expertCount > 0 ? false : haveBias([.gate, .up, .down], model, stored),
      kind.statesBiases || !attentionBias, kind.modelType == "llama" || !feedForwardBias, let scaling = rotaryScaling(p.rope)
    else { return nil }
    var members: [JSON.Member] = [
      .init("architectures", .array([.string(kind.architecture)])), .init("model_type", .string(kind.modelType)),
      .init("hidden_act", .string("silu")), .init("hidden_size", .int(p.hiddenSize)),
      .init("intermediate_size", .int(p.feedForwardSize)), .init("num_hidden_layers", .int(p.blockCount)),
      .init("num_attention_heads", .int(p.headCount)), .init("num_key_value_heads", .int(p.keyValueHeadCount)),
    ]
    if p.statesHeadSize || p.headSize * p.headCount != p.hiddenSize || defaultHeadSize != nil {
      members.append(.init("head_dim", .int(p.headSize)))
    }
    if p.contextLength > 0 { members.append(.init("max_position_embeddings", .int(p.contextLength))) }
    members += [
      .init("vocab_size", .int(p.vocabularySize)), .init("rms_norm_eps", .shortest(p.normEpsilon)),
      .init("rope_theta", .shortest(p.rope.theta)), .init("rope_scaling", scaling),
      .init("tie_word_embeddings", .bool(p.tiesEmbeddings)),
    ]
    if kind.statesBiases { members.append(.init("attention_bias", .bool(attentionBias))) }
    if kind.modelType == "llama" { members.append(.init("mlp_bias", .bool(feedForwardBias))) }
    if p.expertCount > 0 {
      members += [.init("num_local_experts", .int(p.expertCount)), .init("num_experts_per_tok", .int(p.expertsPerToken))]
    }
    if kind.switchesWindow {
      members.append(.init("use_sliding_window", .bool(p.slidingWindow != nil)))
      // The window begins with this block.
      if p.slidingWindow != nil { members.append(.init("max_window_layers", .int(0))) }
    }
    if kind.modelType != "llama" { members.append(.init("sliding_window", p.slidingWindow.map { .int($0) } ?? .null)) }
    return .object(members)
  }

  /// Whether the stored layers have biases that the family leaves open: all of them or none; nil for some.
  private func haveBias(_ roles: Set<TensorRole>, _ model: ModelDescription, _ stored: Checkpoint) -> Bool? {
    let open = roles.subtracting(biased)
    let layers = model.parameters.blockCount * open.count
    let found = model.tensors.count { tensor in
      tensor.id.isBias && open.contains(tensor.id.role) && tensor.name(stored.naming).map { stored[$0] != nil } ?? false
    }
    // A family may have the biases of some roles only; what is left open must then be without.
    return found == 0 ? false : found == layers && open == roles ? true : nil
  }

  /// `rope_scaling`; nil where stored factors follow no rule.
  private func rotaryScaling(_ rope: Rope) -> JSON? {
    switch rope.scaling {
    case .none: return .null
    case .linear(let factor): return .object([.init("rope_type", .string("linear")), .init("factor", .shortest(factor))])
    case .llama3(let factor, let low, let high, let context):
      return .object([
        .init("rope_type", .string("llama3")), .init("factor", .shortest(factor)), .init("low_freq_factor", .shortest(low)),
        .init("high_freq_factor", .shortest(high)), .init("original_max_position_embeddings", .int(context)),
      ])
    case .factors(let factors):
      guard let scaling = rope.llama3Scaling(giving: factors) else { return nil }
      var rope = rope
      rope.scaling = scaling
      return rotaryScaling(rope)
    }
  }
}
