public import QuantCore
import QuantPlatform

extension ConfigurationKeys {
  /// The hyperparameters of a decoder whose embedding and output matrix have Llama's names: what `decoderNumbers` reads, the
  /// vocabulary, and whether embeddings are tied. Refuses other activations.
  /// - Parameters:
  ///   - ties: what is assumed if a `config.json` does not say whether embeddings are tied.
  ///   - keyValueHeads: key-value heads if a `config.json` does not state them; nil: as many as query heads.
  ///   - headSize: head size if a `config.json` does not state it; nil: the hidden size divided by the heads.
  ///   - epsilon: epsilon of the norms if a `config.json` does not state it.
  ///   - activation: the only one that the family computes.
  public func llamaNumbers(
    ties: Bool = false, keyValueHeads: Int? = nil, headSize: Int? = nil, epsilon: Double = 1e-6, activation: String = "silu",
    tensors: Checkpoint
  ) throws(Failure) -> DecoderNumbers {
    var n = try decoderNumbers(
      defaultKeyValueHeads: keyValueHeads, defaultHeadSize: headSize, defaultNormEpsilon: epsilon, tensors: tensors)
    n.tiesEmbeddings = try tiesEmbeddings(default: ties, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    try refuseActivations(otherThan: activation)
    return n
  }

  /// The bound to which queries, keys and values are clamped; nil if there is none.
  public func clip(_ huggingFace: String, _ gguf: String) throws(Failure) -> Double? {
    // llama.cpp reads 0 as none.
    isStored && metadata(gguf)?.doubleValue == 0 ? nil : try number(huggingFace, gguf)
  }

  /// Whether linear layers have biases: as a `config.json` says under a key; in a GGUF, a tensor shows it.
  /// - Parameters:
  ///   - value: what is assumed if a `config.json` does not say it.
  ///   - stored: the name of a bias in a GGUF that only such models have.
  public func hasBiases(_ key: String, default value: Bool = false, stored: String, _ tensors: Checkpoint) -> Bool {
    isStored ? tensors[stored] != nil : json(key)?.boolValue ?? value
  }
}

extension DecoderNumbers {
  /// Whether the heads together are as wide as the hidden states, so that clients need not be told the head size.
  public var headsFillWidth: Bool { headSize * headCount == hiddenSize }
}

extension TensorNames {
  /// Llama's names, with the rows of queries and keys in rotary pairs in a GGUF.
  public static let llamaInPairs: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.query, "self_attn.q_proj", NamedPlace("attn_q").ordered(.rotaryPairs)),
      TensorName(.key, "self_attn.k_proj", NamedPlace("attn_k").ordered(.rotaryPairs)))
    return names
  }()
}

extension GGUFKeys {
  /// What the converter of Llama, and of models that derive from it, adds to the common keys.
  public mutating func setRotation(_ n: DecoderNumbers, _ rope: Rope) {
    set("vocab_size", n.vocabularySize)
    set("rope.dimension_count", rope.dimension)
    setSpacePrefix()
  }
}

extension HuggingFaceKeys {
  /// The window and the kind of every block.
  public mutating func setWindows(_ windows: [Int?]) {
    set("sliding_window", windows.lazy.compactMap { $0 }.first.map { .int($0) } ?? .null)
    set("layer_types", .array(windows.map { .string($0 == nil ? "full_attention" : "sliding_attention") }))
  }
}

extension Rope.Long {
  /// Whether rotated channels are multiplied by the factor of the paper.
  public func hasUsualFactor(context: Int) -> Bool {
    abs(attentionFactor - Rope.Long.usualFactor(context: context, originalContext: originalContext)) < 1e-6
  }
}

extension Rope.Yarn {
  /// The factor of attention that the rule of the paper gives for a weight of its logarithm.
  public func magnitude(_ weight: Double) -> Double { factor > 1 ? 0.1 * weight * log(factor) + 1 : 1 }

  /// Whether rotated channels are multiplied by the factor of the paper, stated or not.
  public var hasUsualFactor: Bool {
    guard let attentionFactor else { return true }
    return abs(attentionFactor - (0.1 * log(max(1, factor)) + 1)) < 1e-6
  }
}
