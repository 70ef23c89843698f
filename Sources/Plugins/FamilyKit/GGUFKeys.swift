public import QuantCore

/// The keys with which a GGUF describes a model, in the order in which llama.cpp's converter writes them.
public struct GGUFKeys: Sendable {
  /// What has been set so far, `general.architecture` first.
  public private(set) var values = KeyValues()
  private let architecture: String
  /// Keys that come first, in this order, if they are set: those of an architecture whose class in the converter writes its own list.
  /// Without the architecture's prefix; `general.file_type` is one of them.
  public var order: [String] = []
  /// Pairs of channels for each component of a position, if positions have several.
  public var rotarySections: [Int]?
  /// Of a head of which a part is rotated; nil: all is.
  private var rotatedDimension: Int?

  public init(_ architecture: String) {
    self.architecture = architecture
    values["general.architecture"] = .string(architecture)
  }

  /// Sets a key, prefixed with the architecture's name.
  public mutating func set(_ key: String, _ number: Int) { set(key, .u32(UInt32(clamping: number))) }
  public mutating func set(_ key: String, _ number: Double) { set(key, .f32(Float(number))) }
  public mutating func set(_ key: String, _ value: MetadataValue) { values[architecture + "." + key] = value }

  /// Sets a key that has no architecture's name.
  public mutating func set(withoutArchitecture key: String, _ value: MetadataValue) { values[key] = value }

  /// Moves keys that are set after all others.
  public mutating func keepLast(_ keys: String...) {
    for key in keys.map({ architecture + "." + $0 }) {
      guard let value = values[key] else { continue }
      values[key] = nil
      values[key] = value
    }
  }

  /// Reserves the entry for the type that most weights have, which the format fills in.
  public mutating func setFileType() { values["general.file_type"] = .u32(0) }

  /// What the converter writes for every decoder before an architecture's own keys: `block_count`, `context_length`, `embedding_length`,
  /// `feed_forward_length`, `attention.head_count`, `attention.head_count_kv`, scaling and base of the rotary embedding, the epsilon of
  /// norms, experts, head sizes, and the file's type. A key that was set before keeps its place.
  /// - Parameters:
  ///   - rope: nil: there is none. If blocks differ, that of the blocks that attend to everything.
  ///   - assumedTheta: the base that clients assume without a key; the converter writes none for architectures with such a base.
  ///   - localTheta: base of the frequencies in blocks with a window, if it differs.
  ///   - layerNorms: whether norms subtract the mean.
  ///   - experts: nil: there are none.
  ///   - routing: how experts are chosen, if the converter writes that.
  ///   - statesGroups: whether that includes the groups of experts.
  ///   - statesFeedForward: whether there are feed-forward networks that are not experts.
  ///   - statesKeyValueHeads: false for architectures without shared heads.
  ///   - statesHeadSize: whether the head size is written.
  public mutating func setCommon(
    _ n: DecoderNumbers, rope: Rope?, assumedTheta: Double? = nil, localTheta: Double? = nil, layerNorms: Bool = false,
    experts: (count: Int, used: Int)? = nil, routing: RoutedExperts? = nil, statesGroups: Bool = true,
    statesFeedForward: Bool = true, statesKeyValueHeads: Bool = true, statesHeadSize: Bool
  ) {
    set("block_count", n.blockCount)
    set("context_length", n.contextLength)
    set("embedding_length", n.hiddenSize)
    if statesFeedForward { set("feed_forward_length", n.feedForwardSize) }
    set("attention.head_count", n.headCount)
    if statesKeyValueHeads { set("attention.head_count_kv", n.keyValueHeadCount) }
    if let rope {
      setScaling(rope.scaling)
      if let rotarySections { set("rope.dimension_sections", .i32s(rotarySections.map { Int32(clamping: $0) })) }
      if rope.theta != assumedTheta { set("rope.freq_base", rope.theta) }
      if rope.dimension != n.headSize { rotatedDimension = rope.dimension }
      if let localTheta { set("rope.freq_base_swa", localTheta) }
    }
    set(layerNorms ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", n.normEpsilon)
    if let experts {
      set("expert_count", experts.count)
      set("expert_used_count", experts.used)
    }
    if let routing { setRouting(routing, statesGroups: statesGroups) }
    if statesHeadSize {
      set("attention.key_length", n.headSize)
      set("attention.value_length", n.headSize)
    }
    setFileType()
  }

  private mutating func setScaling(_ scaling: Rope.Scaling) {
    switch scaling {
    // Their factors are tensors, or GGUF has no key for them.
    case .none, .llama3, .proportional, .factors, .dynamic: return
    case .long: set("rope.scaling.type", .string("longrope"))
    case .linear(let factor):
      set("rope.scaling.type", .string("linear"))
      set("rope.scaling.factor", factor)
    case .yarn(let yarn):
      set("rope.scaling.type", .string("yarn"))
      set("rope.scaling.factor", yarn.factor)
      set("rope.scaling.original_context_length", yarn.originalContext)
      if let factor = yarn.attentionFactor { set("rope.scaling.yarn_attn_factor", factor) }
      set("rope.scaling.yarn_beta_fast", yarn.betaFast)
      set("rope.scaling.yarn_beta_slow", yarn.betaSlow)
    }
  }

  /// Reserves the entry for the space prefix of a byte-level tokenizer, which the converter writes for few architectures. The format
  /// replaces it if the tokenizer says otherwise.
  public mutating func setSpacePrefix() { values["tokenizer.ggml.add_space_prefix"] = .bool(false) }

  /// States that no text begins with the token for that, unless the tokenizer says otherwise.
  public mutating func setNoBeginning() { values["tokenizer.ggml.add_bos_token"] = .bool(false) }

  /// Names the token of a kind (`eos`, `eot`) for tokenizers that do not say which it is.
  public mutating func setToken(_ kind: String, _ text: String) { values["tokenizer.ggml.\(kind)_token_id"] = .string(text) }

  /// Names the kind of tokenizer of an architecture for which llama.cpp has one of its own.
  public mutating func setTokenizerModel(_ name: String) { setTokenizer("model", .string(name)) }

  /// Sets a key of the tokenizer.
  mutating func setTokenizer(_ key: String, _ value: MetadataValue) { values["tokenizer.ggml.\(key)"] = value }

  /// As a configuration.
  public var configuration: Configuration {
    var stated = self
    // Without it, llama.cpp rotates the whole head.
    if let rotatedDimension, values[architecture + ".rope.dimension_count"] == nil { stated.set("rope.dimension_count", rotatedDimension) }
    return Configuration(stated.sorted, architecture: architecture)
  }

  private var sorted: KeyValues {
    var sorted = KeyValues()
    let first = ["general.architecture"] + order.map { $0.contains("general.") ? $0 : architecture + "." + $0 }
    for key in first { sorted[key] = values[key] }
    for (key, value) in values.entries { sorted[key] = value }
    return sorted
  }
}
