public import QuantCore

/// A transformers class that computes models like Llama, and what its configuration states.
public struct LlamaClass: Sendable {
  public var architecture: String
  public var modelType: String
  /// Whether it states that the attention has biases.
  public var statesBiases = false
  /// Whether it states that the feed-forward network has biases.
  public var statesFeedForwardBiases = false
  /// Whether it has an attention window.
  public var hasWindow = true
  /// Whether a key besides `sliding_window` switches the window on.
  public var switchesWindow = false

  public init(_ architecture: String, _ modelType: String) {
    self.architecture = architecture
    self.modelType = modelType
  }

  public static let llama: LlamaClass = {
    var kind = LlamaClass("LlamaForCausalLM", "llama")
    (kind.statesBiases, kind.statesFeedForwardBiases, kind.hasWindow) = (true, true, false)
    return kind
  }()
  public static let mistral = LlamaClass("MistralForCausalLM", "mistral")
  public static let mixtral = LlamaClass("MixtralForCausalLM", "mixtral")
}

extension LlamaDecoder {
  /// The `config.json` of a model: the keys that `describe` reads, with values that give the same description.
  /// - Returns: nil if no class has these biases, or no known rule gives the stored rotary factors.
  func huggingFaceConfiguration(_ facts: LlamaFacts, of model: ModelDescription, stored: Checkpoint) -> Configuration? {
    let n = facts.numbers, kind = modelClass(facts.experts != nil, facts.window != nil)
    guard let attentionBias = haveBias([.query, .key, .value, .attentionOutput], model, stored),
      let feedForwardBias = facts.experts != nil ? false : haveBias([.gate, .up, .down], model, stored),
      kind.statesBiases || !attentionBias, kind.statesFeedForwardBiases || !feedForwardBias
    else { return nil }
    var keys = HuggingFaceKeys(kind.architecture, modelType: kind.modelType)
    let statesHeadSize = n.statesHeadSize || !n.headsFillWidth || defaultHeadSize != nil
    guard keys.setCommon(n, rope: facts.rope, statesHeadSize: statesHeadSize) else { return nil }
    if kind.statesBiases { keys.set("attention_bias", attentionBias) }
    if kind.statesFeedForwardBiases { keys.set("mlp_bias", feedForwardBias) }
    if let experts = facts.experts {
      keys.set("num_local_experts", experts.count)
      keys.set("num_experts_per_tok", experts.used)
    }
    if kind.switchesWindow {
      keys.set("use_sliding_window", facts.window != nil)
      // The first block with the window.
      if facts.window != nil { keys.set("max_window_layers", 0) }
    }
    if kind.hasWindow { keys.set("sliding_window", facts.window.map { .int($0) } ?? .null) }
    return keys.configuration
  }

  /// Whether the stored layers have the biases that the family leaves open: true for all, false for none, nil for some.
  private func haveBias(_ roles: Set<TensorRole>, _ model: ModelDescription, _ stored: Checkpoint) -> Bool? {
    let open = roles.subtracting(biased)
    let layers = model.blocks.count * open.count
    let found = model.tensors.count { tensor in
      tensor.id.isBias && open.contains(tensor.id.role) && tensor.name(stored.naming).map { stored[$0] != nil } ?? false
    }
    // A family may allow biases of some roles only; then none of the open roles may have one.
    return found == 0 ? false : found == layers && open == roles ? true : nil
  }
}

extension Rope {
  /// The value of `rope_scaling` for this scaling; nil if the stored factors follow no known rule, or the rule is written elsewhere.
  public var huggingFaceScaling: JSON? {
    switch scaling {
    case .none: return .null
    case .linear(let factor): return .object([.init("rope_type", .string("linear")), .init("factor", .shortest(factor))])
    case .llama3(let factor, let low, let high, let context):
      return .object([
        .init("rope_type", .string("llama3")), .init("factor", .shortest(factor)), .init("low_freq_factor", .shortest(low)),
        .init("high_freq_factor", .shortest(high)), .init("original_max_position_embeddings", .int(context)),
      ])
    case .dynamic(let factor, _): return .object([.init("rope_type", .string("dynamic")), .init("factor", .shortest(factor))])
    case .proportional(let pairs):
      return .object([
        .init("rope_type", .string("proportional")),
        .init("partial_rotary_factor", .shortest(Double(2 * pairs) / Double(max(1, dimension)))),
      ])
    case .factors(let factors):
      guard let scaling = llama3Scaling(giving: factors) else { return nil }
      var rope = self
      rope.scaling = scaling
      return rope.huggingFaceScaling
    case .long(let long):
      // The original context is beside this object, and the class accepts no other key in it.
      func list(_ factors: [Float]) -> JSON { .array(factors.map { .shortest(Double("\($0)") ?? Double($0)) }) }
      return .object([
        .init("type", .string("longrope")), .init("short_factor", list(long.shortFactors)), .init("long_factor", list(long.longFactors)),
      ])
    case .yarn(let yarn):
      var members: [JSON.Member] = [
        .init("rope_type", .string("yarn")), .init("factor", .shortest(yarn.factor)),
        .init("original_max_position_embeddings", .int(yarn.originalContext)), .init("beta_fast", .shortest(yarn.betaFast)),
        .init("beta_slow", .shortest(yarn.betaSlow)), .init("truncate", .bool(yarn.isRounded)),
      ]
      if let factor = yarn.attentionFactor { members.append(.init("attention_factor", .shortest(factor))) }
      return .object(members)
    }
  }
}
