import FamilyKit
public import QuantCore

/// Mistral 3 (Small 3.1 and later), Ministral 3, and Ministral: Llama with a head size of its own; Ministral 3 has YaRN and multiplies
/// queries by a factor that grows with their position; Ministral has windows in some blocks.
///
/// Mistral 4, whose folders have the same class, is described as DeepSeek's models are.
///
/// The traps: YaRN's factor of attention is 1, which a GGUF states as a logarithm; folders also hold a vision tower.
public enum Mistral3: ModelFamily {
  /// Id of the family.
  public static let id = "mistral3"
  /// One sentence for lists.
  public static let summary = "Mistral 3, Ministral 3 and Ministral; only the language model of models with a vision tower"
  /// Documentation of the models.
  public static let reference = "https://docs.mistral.ai/getting-started/models"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["mistral3"] : ["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM", "MinistralForCausalLM"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let view = LanguageModelView(configuration, tensors, as: "Ministral3ForCausalLM")
    let keys = ConfigurationKeys(view.configuration, path: tensors.path)
    let type = keys.json("model_type")?.stringValue ?? "mistral"
    if type == "mistral4" {
      let latent = LanguageModelView(configuration, tensors, as: "Mistral4ForCausalLM")
      return latent.restored(try DeepSeekV3.describe(latent.configuration, tensors: latent.tensors))
    }
    guard ["mistral", "ministral3", "ministral"].contains(type) else {
      throw keys.unsupported("model.variant", "a language model of type '\(type)' is not supported in this class")
    }
    let n = try keys.llamaNumbers(
      keyValueHeads: 8, headSize: type == "ministral3" ? 128 : nil, epsilon: type == "ministral3" ? 1e-5 : 1e-6, tensors: view.tensors)
    let facts = try Mistral3Facts(keys, n, factors: view.tensors[RopeFactors.name])
    let windows = keys.isStored ? [Int?](repeating: nil, count: n.blockCount) : try windows(keys, n.blockCount)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      var attention = n.attention(rope: facts.rope)
      (attention.window, attention.temperature) = (windows[block], facts.temperature)
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.names = .llamaInPairs
    decoder.tabulatedRope = facts.rope
    var model = try decoder.describe()

    model.obstacles[.gguf] = type == "ministral" ? "llama.cpp knows no architecture with Ministral's windows" : facts.obstacle
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("mistral3")
      stored.setCommon(n, rope: facts.ropeWithoutFactor, statesHeadSize: n.statesHeadSize)
      stored.setRotation(n, facts.rope)
      if facts.isYarn { stored.set("rope.scaling.yarn_log_multiplier", facts.magnitude) }
      if let temperature = facts.temperature { stored.set("attention.temperature_scale", temperature.scale) }
      model.configurations[.gguf] = stored.configuration
      if let window = windows.lazy.compactMap({ $0 }).first, window < n.contextLength {
        model.cautions[.gguf] = ["llama.cpp does not use the attention window of \(window) tokens: it attends to all of a longer text"]
      }
    }
    if windows.allSatisfy({ $0 == nil }) { model.configurations[.huggingFace] = facts.huggingFace(n) }
    return view.restored(model)
  }

  /// The window of every block; without a list of kinds, all have it.
  private static func windows(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Int?] {
    let window =
      keys.configuration.json?["sliding_window"] == nil && keys.json("model_type")?.stringValue != "ministral3" ? 4096 : try keys.window()
    guard keys.json("layer_types") != nil else { return [Int?](repeating: window, count: blocks) }
    return try keys.windowedBlocks(blocks, defaultPeriod: 1).map { $0 ? window : nil }
  }
}

/// The rotary embedding and the temperature of a Mistral 3.
private struct Mistral3Facts {
  var rope: Rope
  var temperature: Attention.Temperature?
  /// `mscale_all_dim`, with which the factor of attention is divided.
  var magnitude = 0.0

  init(_ keys: ConfigurationKeys, _ n: DecoderNumbers, factors: CheckpointTensor?) throws(Failure) {
    rope = try keys.rope(headSize: n.headSize, defaultTheta: keys.isStored ? 10_000 : 1_000_000, factors: factors, mayBeYarn: true)
    let stated = keys.json("rope_parameters") ?? keys.json("rope_scaling")
    magnitude =
      (keys.isStored ? keys.metadata("rope.scaling.yarn_log_multiplier") : nil)?.doubleValue ?? stated?["mscale_all_dim"]?.doubleValue ?? 0
    guard case .yarn(var yarn) = rope.scaling else { return }
    if keys.isStored {
      yarn.attentionFactor = magnitude == 0 ? nil : yarn.magnitude(1) / yarn.magnitude(magnitude)
      rope.scaling = .yarn(yarn)
    }
    let scale = keys.isStored ? keys.metadata("attention.temperature_scale")?.doubleValue : stated?["llama_4_scaling_beta"]?.doubleValue
    if let scale, scale != 0 { temperature = Attention.Temperature(scale: scale, length: yarn.originalContext) }
  }

  var isYarn: Bool { if case .yarn = rope.scaling { true } else { false } }

  /// As llama.cpp's keys state it: its factor follows from another key.
  var ropeWithoutFactor: Rope {
    guard case .yarn(var yarn) = rope.scaling else { return rope }
    var rope = rope
    yarn.attentionFactor = nil
    rope.scaling = .yarn(yarn)
    return rope
  }

  var obstacle: String? {
    guard case .yarn(let yarn) = rope.scaling else { return nil }
    let expected = magnitude == 0 ? yarn.magnitude(1) : yarn.magnitude(1) / yarn.magnitude(magnitude)
    if yarn.isRounded, abs((yarn.attentionFactor ?? yarn.magnitude(1)) - expected) < 1e-6 { return nil }
    return "llama.cpp computes YaRN's factor of 'mistral3' itself and rounds the ends of its ramp, but this model states otherwise"
  }

  /// Nil if no rule of transformers gives the rotary factors.
  func huggingFace(_ n: DecoderNumbers) -> Configuration? {
    var keys = HuggingFaceKeys(isYarn ? "Ministral3ForCausalLM" : "MistralForCausalLM", modelType: isYarn ? "ministral3" : "mistral")
    guard keys.setCommon(n, rope: rope, statesHeadSize: true) else { return nil }
    keys.set("sliding_window", .null)
    guard case .yarn(let yarn) = rope.scaling else { return keys.configuration }
    var members = (rope.huggingFaceScaling?.objectValue ?? []) + [.init("rope_theta", .shortest(rope.theta))]
    members += [.init("mscale", .int(1)), .init("mscale_all_dim", .shortest(magnitude))]
    if let temperature { members.append(.init("llama_4_scaling_beta", .shortest(temperature.scale))) }
    if magnitude == 0 { members.removeAll { $0.key.hasPrefix("mscale") } }
    if yarn.attentionFactor != nil { members.removeAll { $0.key == "attention_factor" } }
    keys.set("rope_parameters", .object(members))
    return keys.without("rope_scaling", "rope_theta")
  }
}
