import FamilyKit
public import QuantCore

/// OLMo 2 and 3: norms only after the branches, and norms of queries and keys over all heads together. OLMo 3 adds attention windows in
/// three of four blocks.
///
/// The trap: OLMo 3 scales the rotary embedding only in blocks without a window.
public enum Olmo2: ModelFamily {
  /// Id of the family.
  public static let id = "olmo2"
  /// One sentence for lists.
  public static let summary = "OLMo 2 and 3 with dense feed-forward layers"
  /// Paper.
  public static let reference = "arXiv:2501.00656"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["olmo2"] : ["Olmo2ForCausalLM", "Olmo3ForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.attentionOutputNorm, "post_attention_layernorm", "post_attention_norm"),
      TensorName(.feedForwardOutputNorm, "post_feedforward_layernorm", "post_ffw_norm"))
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(epsilon: 1e-5, tensors: tensors)
    let isThird = keys.isStored ? try keys.window() != nil : configuration.architecture == "Olmo3ForCausalLM"
    let windows = isThird ? try windows(keys, n.blockCount) : [Int?](repeating: nil, count: n.blockCount)
    let rope = try rope(keys, n, isThird: isThird)
    let localTheta = try localTheta(keys) ?? rope.theta
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      var attention = n.attention(rope: windows[block] == nil ? rope : Rope(theta: localTheta, dimension: n.headSize))
      attention.window = windows[block]
      (attention.queryNorm, attention.keyNorm) = (n.rootMeanSquareNorm(.queryNorm), n.rootMeanSquareNorm(.keyNorm))
      (attention.queryNormSize, attention.keyNormSize) = (n.headCount * n.headSize, n.keyValueHeadCount * n.headSize)
      return [
        Branch(norm: nil, attention, outputNorm: n.rootMeanSquareNorm(.attentionOutputNorm)),
        Branch(norm: nil, n.feedForward(), outputNorm: n.rootMeanSquareNorm(.feedForwardOutputNorm)),
      ]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    var model = try decoder.describe()

    model.obstacles[.gguf] = obstacle(n, rope, hasBiases: hasBiases, hasLocalBase: isThird && localTheta != rope.theta)
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("olmo2")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      if isThird {
        stored.set("attention.sliding_window", windows.lazy.compactMap { $0 }.first ?? 0)
        stored.set("attention.sliding_window_pattern", .bools(windows.map { $0 != nil }))
      }
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys(isThird ? "Olmo3ForCausalLM" : "Olmo2ForCausalLM", modelType: isThird ? "olmo3" : "olmo2")
    guard localTheta == rope.theta, stated.setCommon(n, rope: rope, statesHeadSize: !n.headsFillWidth) else { return model }
    stated.set("attention_bias", hasBiases)
    if isThird { stated.setWindows(windows) }
    model.configurations[.huggingFace] = stated.configuration
    return model
  }

  /// Without a list, the last of four blocks has no window.
  private static func windows(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int?] {
    let window = keys.json("sliding_window") == nil && !keys.isStored ? 4096 : try keys.window()
    return try keys.windowedBlocks(blocks, defaultPeriod: 4).map { $0 ? window : nil }
  }

  private static func rope(_ keys: ConfigurationKeys, _ n: DecoderNumbers, isThird: Bool) throws(Failure) -> Rope {
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil, kind: "full_attention", mayBeYarn: isThird)
    // llama.cpp does not read the key of a GGUF that states it.
    if keys.isStored, case .yarn(var yarn) = rope.scaling {
      yarn.attentionFactor = nil
      rope.scaling = .yarn(yarn)
    }
    return rope
  }

  /// The base in blocks with a window, if a `config.json` states rotary embeddings by kind of block.
  private static func localTheta(_ keys: ConfigurationKeys) throws(Failure) -> Double? {
    guard let local = keys.json("rope_parameters")?["sliding_attention"] else { return nil }
    guard try keys.scaling(of: local) == .none else {
      throw keys.unsupported("model.rope-scaling", "a scaled rotary embedding in blocks with a window is not supported")
    }
    return try local["rope_theta"].map { value throws(Failure) in try keys.positive(value.doubleValue, "rope_theta") }
  }

  private static func obstacle(_ n: DecoderNumbers, _ rope: Rope, hasBiases: Bool, hasLocalBase: Bool) -> String? {
    if n.tiesEmbeddings { return "llama.cpp needs an output matrix in 'olmo2', but this model ties its output to the embedding" }
    if hasBiases { return "llama.cpp has no bias of the attention's output in 'olmo2', but this model has one" }
    if !n.headsFillWidth { return "llama.cpp assumes that the heads of 'olmo2' are together as wide as the hidden states" }
    if hasLocalBase { return "llama.cpp has one base of the rotary embedding in 'olmo2', but this model has another one in windows" }
    return rope.obstacle("olmo2")
  }
}
