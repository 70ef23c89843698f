import FamilyKit
public import QuantCore

/// Cohere's Command R and Aya: attention and feed-forward network read the same normed states and are added together; norms subtract the
/// mean and have no bias; logits are multiplied by a factor. The second generation has attention windows in three of four blocks.
///
/// The traps: the rotary embedding rotates neighbouring channels; in the second generation only blocks with a window have one.
public enum Cohere: ModelFamily {
  /// Id of the family.
  public static let id = "cohere"
  /// One sentence for lists.
  public static let summary = "Command R, Command R7B, Command A and Aya, without norms of queries and keys"
  /// Model card.
  public static let reference = "https://docs.cohere.com/docs/models"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["command-r", "cohere2"] : ["CohereForCausalLM", "Cohere2ForCausalLM"]
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.block.removeAll { $0.role == .feedForwardNorm }
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let isSecond = ["cohere2", "Cohere2ForCausalLM"].contains(configuration.architecture)
    var numbers = try keys.llamaNumbers(ties: true, tensors: tensors)
    numbers.normEpsilon = try keys.number("layer_norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    // The name of a longer context in Command R.
    if let length = try keys.size("model_max_length", ""), length > 0 { numbers.contextLength = length }
    let n = numbers
    if keys.json("use_qk_norm")?.boolValue == true || tensors["blk.0.attn_q_norm.weight"] != nil {
      throw keys.unsupported("model.variant", "norms of queries and keys with gains for each head are not supported ('use_qk_norm')")
    }
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    rope.pairs = .neighbours
    let neighbours = rope
    let scale = try keys.number("logit_scale", "logit_scale") ?? (keys.isStored ? 1 : 0.0625)
    let window = !isSecond ? nil : keys.configuration.json.map { $0["sliding_window"] == nil } == true ? 4096 : try keys.window()
    let isWindowed = isSecond ? try keys.windowedBlocks(n.blockCount, defaultPeriod: 4) : [Bool](repeating: true, count: n.blockCount)
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.layerNorm(.outputNorm)) { block in
      var attention = n.attention(rope: isWindowed[block] ? neighbours : nil)
      attention.window = isWindowed[block] ? window : nil
      return [
        Branch(norm: n.layerNorm(.attentionNorm), attention),
        Branch(norm: n.layerNorm(.attentionNorm), n.feedForward(), readsWithPrevious: true),
      ]
    }
    decoder.names = names
    decoder.normBias = .never
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    decoder.head.scale = Float(scale)
    var model = try decoder.describe()

    let architecture = isSecond ? "cohere2" : "command-r"
    model.obstacles[.gguf] = obstacle(n, rope, architecture, hasBiases: hasBiases, isSecond: isSecond, window)
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys(architecture)
      stored.setCommon(n, rope: rope, layerNorms: true, statesHeadSize: n.statesHeadSize)
      stored.set("logit_scale", scale)
      if let window, isSecond {
        stored.set("attention.sliding_window", window)
        stored.set("vocab_size", n.vocabularySize)
        stored.set("rope.dimension_count", rope.dimension)
        // Without a list, llama.cpp assumes that every fourth block attends to everything.
        if isWindowed != isWindowed.indices.map({ ($0 + 1) % 4 != 0 }) {
          stored.set("attention.sliding_window_pattern", .bools(isWindowed))
        }
      }
      stored.set("rope.scaling.type", .string("none"))
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys(isSecond ? "Cohere2ForCausalLM" : "CohereForCausalLM", modelType: isSecond ? "cohere2" : "cohere")
    guard stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize) else { return model }
    stated.set("layer_norm_eps", n.normEpsilon)
    stated.set("logit_scale", scale)
    stated.set("attention_bias", hasBiases)
    if isSecond {
      stated.set("sliding_window", window.map { .int($0) } ?? .null)
      stated.set("layer_types", .array(isWindowed.map { .string($0 ? "sliding_attention" : "full_attention") }))
    } else {
      stated.set("use_qk_norm", false)
    }
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  private static func obstacle(
    _ n: DecoderNumbers, _ rope: Rope, _ architecture: String, hasBiases: Bool, isSecond: Bool, _ window: Int?
  ) -> String? {
    if !n.tiesEmbeddings { return "llama.cpp ties the output of '\(architecture)' to the embedding, but this model does not" }
    if hasBiases { return "llama.cpp has no bias of the attention's output in '\(architecture)', but this model has one" }
    if !n.headsFillWidth { return "llama.cpp assumes that the heads of '\(architecture)' are together as wide as the hidden states" }
    if rope.scaling != .none { return "llama.cpp scales no rotary embedding in '\(architecture)', but this model does" }
    if isSecond, window == nil { return "llama.cpp needs an attention window in 'cohere2', but this model has none" }
    if n.blockCount >= 64, !isSecond { return "llama.cpp expects norms of queries and keys in 'command-r' of 64 and more blocks" }
    return nil
  }
}
