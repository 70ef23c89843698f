public import QuantCore

/// The keys by which a `config.json` states a model, in the order in which they are set.
public struct HuggingFaceKeys: Sendable {
  /// What was set so far.
  public private(set) var members: [JSON.Member]

  /// - Parameters:
  ///   - architecture: the class that computes the model (`LlamaForCausalLM`).
  ///   - modelType: what its configuration is called (`llama`).
  public init(_ architecture: String, modelType: String) {
    members = [.init("architectures", .array([.string(architecture)])), .init("model_type", .string(modelType))]
  }

  public mutating func set(_ key: String, _ value: Int) { set(key, .int(value)) }
  public mutating func set(_ key: String, _ value: Double) { set(key, .shortest(value)) }
  public mutating func set(_ key: String, _ value: Bool) { set(key, .bool(value)) }
  public mutating func set(_ key: String, _ value: JSON) { members.append(.init(key, value)) }

  /// Changes the value of a key that was set.
  public mutating func replace(_ key: String, _ value: JSON) {
    if let index = members.firstIndex(where: { $0.key == key }) { members[index] = .init(key, value) }
  }

  /// Sets what every decoder like Llama states: sizes, heads, norms, rotary embedding, and whether embeddings are tied.
  /// - Parameters:
  ///   - activation: the name that transformers gives the function of the feed-forward layer.
  ///   - normEpsilon: the key for what norms add.
  ///   - statesHeadSize: whether the head size is written.
  /// - Returns: false if no rule of transformers gives the rotary factors, or LongRoPE's factor of attention; then nothing is set.
  public mutating func setCommon(
    _ n: DecoderNumbers, rope: Rope, activation: String = "silu", normEpsilon: String = "rms_norm_eps", statesHeadSize: Bool
  ) -> Bool {
    guard let scaling = rope.huggingFaceScaling else { return false }
    if case .long(let long) = rope.scaling, !long.hasUsualFactor(context: n.contextLength) { return false }
    set("hidden_act", .string(activation))
    set("hidden_size", n.hiddenSize)
    set("intermediate_size", n.feedForwardSize)
    set("num_hidden_layers", n.blockCount)
    set("num_attention_heads", n.headCount)
    set("num_key_value_heads", n.keyValueHeadCount)
    if statesHeadSize { set("head_dim", n.headSize) }
    if n.contextLength > 0 { set("max_position_embeddings", n.contextLength) }
    set("vocab_size", n.vocabularySize)
    set(normEpsilon, n.normEpsilon)
    set("rope_theta", rope.theta)
    set("rope_scaling", scaling)
    if case .long(let long) = rope.scaling { set("original_max_position_embeddings", long.originalContext) }
    if let share = rope.share(ofHead: n.headSize) { set("partial_rotary_factor", share) }
    set("tie_word_embeddings", n.tiesEmbeddings)
    return true
  }

  /// As the configuration of a folder without some of the keys.
  public func without(_ keys: String...) -> Configuration { .huggingFace(.object(members.filter { !keys.contains($0.key) })) }

  /// As the configuration of a folder.
  public var configuration: Configuration { .huggingFace(.object(members)) }
}

extension Rope {
  /// The part of a head that is rotated, as `partial_rotary_factor` states it; nil: all of it. Clients truncate the product with the
  /// head size.
  public func share(ofHead headSize: Int) -> Double? {
    guard dimension != headSize else { return nil }
    let share = Double(dimension) / Double(headSize)
    return Int(Double(headSize) * share) < dimension ? share.nextUp : share
  }
}
