import FamilyKit
public import QuantCore

/// EXAONE 4: norms only after the branches, and every head of Q and K is normalised. The largest model has attention windows in three
/// of four blocks, and no rotary embedding in the others.
///
/// The trap: llama.cpp gives windows to models of 64 blocks, whatever the keys say.
public enum Exaone4: ModelFamily {
  /// Id of the family.
  public static let id = "exaone4"
  /// One sentence for lists.
  public static let summary = "EXAONE 4, all sizes"
  /// Report.
  public static let reference = "arXiv:2507.11407"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["exaone4"] : ["Exaone4ForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.attentionOutputNorm, "post_attention_layernorm", "post_attention_norm"),
      TensorName(.feedForwardOutputNorm, "post_feedforward_layernorm", "post_ffw_norm"))
    return names
  }()
  /// The number of blocks by which llama.cpp recognises models with windows.
  private static let windowedBlockCount = 64

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 32, epsilon: 1e-5, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name])
    let isHybrid = try window(keys, n.blockCount) != nil
    let windows = try windows(keys, n.blockCount)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      var attention = n.attention(rope: isHybrid && windows[block] == nil ? nil : rope)
      attention.window = windows[block]
      (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
      return [
        Branch(norm: nil, attention, outputNorm: n.rootMeanSquareNorm(.attentionOutputNorm)),
        Branch(norm: nil, n.feedForward(), outputNorm: n.rootMeanSquareNorm(.feedForwardOutputNorm)),
      ]
    }
    decoder.names = names
    decoder.tabulatedRope = rope
    var model = try decoder.describe()

    if isHybrid == (n.blockCount == windowedBlockCount) {
      var stored = GGUFKeys("exaone4")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.set("vocab_size", n.vocabularySize)
      if let window = try window(keys, n.blockCount) {
        stored.set("attention.sliding_window", window)
        stored.set("attention.sliding_window_pattern", .bools(windows.map { $0 != nil }))
      }
      model.configurations[.gguf] = stored.configuration
    } else {
      model.obstacles[.gguf] =
        "llama.cpp gives attention windows to models of 64 blocks in 'exaone4', and to no others, but this model has "
        + "\(n.blockCount) blocks with\(isHybrid ? "" : "out") windows"
    }
    var stated = HuggingFaceKeys("Exaone4ForCausalLM", modelType: "exaone4")
    guard stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    stated.set("sliding_window", try window(keys, n.blockCount).map { .int($0) } ?? .null)
    stated.set("layer_types", .array(windows.map { .string($0 == nil ? "full_attention" : "sliding_attention") }))
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  /// The window of those blocks that have one; nil: the model is of the kind without windows. Without the key, the class assumes 4096.
  private static func window(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> Int? {
    if keys.isStored { return blocks == windowedBlockCount ? try keys.window() ?? 4096 : nil }
    return keys.configuration.json?["sliding_window"] == nil ? 4096 : try keys.window()
  }

  private static func windows(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int?] {
    guard let window = try window(keys, blocks) else { return [Int?](repeating: nil, count: blocks) }
    return try keys.windowedBlocks(blocks, defaultPeriod: 4).map { $0 ? window : nil }
  }
}
