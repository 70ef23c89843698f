import FamilyKit
public import QuantCore

/// SmolLM3: Llama without a rotary embedding in every fourth block.
///
/// The traps: in the list `no_rope_layers`, 1 means that a block has one; embeddings are tied unless a `config.json` says otherwise.
public enum SmolLM3: ModelFamily {
  /// Id of the family.
  public static let id = "smollm3"
  /// One sentence for lists.
  public static let summary = "SmolLM3, Llama without a rotary embedding in every fourth block"
  /// Model card.
  public static let reference = "https://huggingface.co/blog/smollm3"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["smollm3"] : ["SmolLM3ForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(ties: true, keyValueHeads: 4, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 2_000_000, factors: tensors[RopeFactors.name])
    let isRotated = try rotatedBlocks(keys, n.blockCount)
    try keys.refuse("use_sliding_window", when: true, "an attention window is not supported")
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    let hasFeedForwardBiases = keys.hasBiases("mlp_bias", stored: "blk.0.ffn_up.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: isRotated[block] ? rope : nil)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.names = .llamaInPairs
    decoder.bias = { $0.kind == .attention && hasBiases || $0.kind == .feedForward && hasFeedForwardBiases ? .always : .never }
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    if hasBiases || hasFeedForwardBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases in 'smollm3', but this model has some"
    } else if isRotated != usual(n.blockCount) {
      model.obstacles[.gguf] = "llama.cpp leaves every fourth block of 'smollm3' without a rotary embedding, but this model other blocks"
    } else {
      var stored = GGUFKeys("smollm3")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.setRotation(n, rope)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("SmolLM3ForCausalLM", modelType: "smollm3")
    guard stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    stated.set("attention_bias", hasBiases)
    stated.set("mlp_bias", hasFeedForwardBiases)
    stated.set("no_rope_layers", .array(isRotated.map { .int($0 ? 1 : 0) }))
    stated.set("use_sliding_window", false)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  private static func usual(_ blocks: Int) -> [Bool] { (1...blocks).map { !$0.isMultiple(of: 4) } }

  /// Which blocks have a rotary embedding.
  private static func rotatedBlocks(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Bool] {
    if let list = keys.json("no_rope_layers")?.arrayValue {
      guard list.count == blocks else { throw keys.bad("no_rope_layers", "has \(list.count) values for \(blocks) blocks") }
      return list.map { $0.intValue != 0 && $0.boolValue != false }
    }
    guard let interval = try keys.size("no_rope_layer_interval", "") else { return usual(blocks) }
    guard interval > 0 else { throw keys.bad("no_rope_layer_interval", "is 0, but must be positive") }
    return (1...blocks).map { !$0.isMultiple(of: interval) }
  }
}
