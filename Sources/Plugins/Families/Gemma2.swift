import FamilyKit
public import QuantCore

/// Gemma 2: Gemma with norms before and after each branch, an attention window in every other block, and caps of scores and logits.
///
/// The traps: scores are scaled by a value of their own, for which a GGUF has no key; llama.cpp has caps even if a GGUF states none.
public enum Gemma2: ModelFamily {
  /// Id of the family.
  public static let id = "gemma2"
  /// One sentence for lists.
  public static let summary = "Gemma 2, all sizes"
  /// Report.
  public static let reference = "arXiv:2408.00118"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["gemma2"] : ["Gemma2ForCausalLM"] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try GemmaFacts(keys, tensors, activationKey: "hidden_activation", generation: 2)
    let n = facts.numbers
    let scoreCap = try cap(keys, "attn_logit_softcapping", default: 50), logitCap = try cap(keys, "final_logit_softcapping", default: 30)
    let divisor = keys.isStored ? assumedDivisor(n) : try keys.number("query_pre_attn_scalar", "") ?? 256
    let window = (keys.configuration.json ?? .null)["sliding_window"] == nil && !keys.isStored ? 4096 : try keys.window()
    let windows = try keys.windowedBlocks(n.blockCount, defaultPeriod: 2).map { $0 ? window : nil }
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      var attention = n.attention(rope: facts.rope)
      attention.window = windows[block]
      attention.scoreCap = scoreCap.map { Float($0) }
      attention.scale = Float(1 / divisor.squareRoot())
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention, outputNorm: n.rootMeanSquareNorm(.attentionOutputNorm)),
        Branch(
          norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward(facts.activation),
          outputNorm: n.rootMeanSquareNorm(.feedForwardOutputNorm)),
      ]
    }
    decoder.names = GemmaFacts.names(hasOutputNorms: true)
    decoder.bias = { $0.kind == .attention && facts.hasBiases ? .always : .never }
    decoder.embedding.scale = Float(n.hiddenSize).squareRoot()
    decoder.head.cap = logitCap.map { Float($0) }
    var model = try decoder.describe()

    model.obstacles[.gguf] = facts.obstacle("gemma2")
    if divisor != assumedDivisor(n) {
      model.obstacles[.gguf] =
        "llama.cpp divides scores of this 'gemma2' by the root of \(Int(assumedDivisor(n))), for which a GGUF has no key, "
        + "but this model states another number ('query_pre_attn_scalar')"
    }
    if let scoreCap, let logitCap, let window, model.obstacles[.gguf] == nil {
      var stored = facts.storedKeys("gemma2")
      stored.set("attn_logit_softcapping", scoreCap)
      stored.set("final_logit_softcapping", logitCap)
      stored.set("attention.sliding_window", window)
      // Without a list, llama.cpp assumes that every second block attends to everything.
      if windows.indices.contains(where: { (windows[$0] == nil) == $0.isMultiple(of: 2) }) {
        stored.set("attention.sliding_window_pattern", .bools(windows.map { $0 != nil }))
      }
      model.configurations[.gguf] = stored.configuration
    } else if model.obstacles[.gguf] == nil {
      model.obstacles[.gguf] = "llama.cpp always has both caps and an attention window in 'gemma2', but this model does not"
    }
    model.cautions[.gguf] = facts.cautions("gemma2")
    var stated = HuggingFaceKeys("Gemma2ForCausalLM", modelType: "gemma2")
    guard stated.setCommon(n, rope: facts.rope, activation: "gelu_pytorch_tanh", statesHeadSize: true) else { return model }
    stated.set("hidden_activation", .string(facts.activation == .gelu ? "gelu" : "gelu_pytorch_tanh"))
    stated.set("attention_bias", facts.hasBiases)
    // Newer classes insist on an integer.
    stated.set("query_pre_attn_scalar", Int(exactly: divisor).map { .int($0) } ?? .shortest(divisor))
    stated.set("attn_logit_softcapping", scoreCap.map { .shortest($0) } ?? .null)
    stated.set("final_logit_softcapping", logitCap.map { .shortest($0) } ?? .null)
    stated.set("sliding_window", window.map { .int($0) } ?? .null)
    stated.set("layer_types", .array(windows.map { .string($0 == nil ? "full_attention" : "sliding_attention") }))
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  /// A bound that `config.json` may state as null for none; an absent key means the default, in either format.
  private static func cap(_ keys: ConfigurationKeys, _ key: String, default value: Double) throws(Failure) -> Double? {
    if let json = keys.configuration.json, json[key]?.isNull == true { return nil }
    return try keys.number(key, key) ?? value
  }

  /// What llama.cpp assumes: the head size, except for the largest model, which it recognises by its 46 blocks.
  private static func assumedDivisor(_ n: DecoderNumbers) -> Double { Double(n.blockCount == 46 ? n.hiddenSize / n.headCount : n.headSize) }
}
