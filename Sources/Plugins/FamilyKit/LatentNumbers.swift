import Glibc
public import QuantCore

/// The hyperparameters of latent attention, as DeepSeek's configurations state them.
public struct LatentNumbers: Sendable {
  /// Channels of the latent, and of the query latent, if there is one.
  public var rank = 0
  public var queryRank: Int?
  /// Channels of a head that are not rotated, and those that are.
  public var plainSize = 0
  public var rotarySize = 0
  /// Channels of a head's value.
  public var valueSize = 0
  /// What the norms over the latents add to the mean square.
  public var epsilon = 1e-6
  public var rope = Rope()
  /// For long texts, YaRN multiplies rotated channels by the first magnitude over the second, and products by the square of the second.
  public var magnitude: Double?
  public var magnitudeOfAll: Double?
  /// The factor of queries by position; nil: there is none.
  public var temperature: Attention.Temperature?

  public init() {}

  /// Channels of a head's query, and of its key.
  public var keySize: Int { plainSize + rotarySize }

  /// The attention with this many heads.
  public func attention(width: Int, headCount: Int) -> LatentAttention {
    var scale = 1 / Double(max(1, keySize)).squareRoot()
    if case .yarn(let yarn) = rope.scaling, let magnitudeOfAll, yarn.factor > 1 {
      let factor = 0.1 * magnitudeOfAll * log(yarn.factor) + 1
      scale *= factor * factor
    }
    var attention = LatentAttention(
      width: width, headCount: headCount, rank: rank, queryRank: queryRank, plainSize: plainSize, valueSize: valueSize, rope: rope,
      epsilon: epsilon, scale: Float(scale))
    attention.temperature = temperature
    return attention
  }

  /// Whether llama.cpp rotates and scales as the model does: it supports one magnitude, and only neighbours as pairs.
  public var isOfLlamaCpp: Bool {
    guard rope.pairs == .neighbours else { return false }
    guard case .yarn = rope.scaling else { return true }
    return magnitude != nil && magnitude == magnitudeOfAll
  }

  /// The value of `rope_scaling`; nil if no such value means this scaling.
  public var huggingFaceScaling: JSON? {
    guard case .yarn(var yarn) = rope.scaling else { return rope.huggingFaceScaling }
    var plain = rope
    yarn.attentionFactor = nil
    plain.scaling = .yarn(yarn)
    let magnitudes = [("mscale", magnitude), ("mscale_all_dim", magnitudeOfAll)].compactMap { key, value in
      value.map { JSON.Member(key, .shortest($0)) }
    }
    let beta = temperature.map { [JSON.Member("llama_4_scaling_beta", .shortest(Double("\(Float($0.scale))") ?? $0.scale))] } ?? []
    return plain.huggingFaceScaling?.objectValue.map { .object($0 + magnitudes + beta) }
  }
}

extension ConfigurationKeys {
  /// The latent attention that the configuration states.
  /// - Parameters:
  ///   - defaults: what is assumed if a `config.json` does not state it.
  ///   - normEpsilon: epsilon of the other norms; llama.cpp has one for all.
  public func latentNumbers(defaults: LatentNumbers, defaultTheta: Double, normEpsilon: Double) throws(Failure) -> LatentNumbers {
    var n = defaults
    if isStored {
      guard let keySize = try size("", "attention.key_length_mla"), metadata("attention.value_length_mla") != nil else {
        throw unsupported("model.latent-attention", "keys and values of latent attention are in one tensor, as old converters wrote them")
      }
      if let scale = try number("", "attention.temperature_scale") {
        guard let length = try size("", "attention.temperature_length"), length > 0 else {
          throw unsupported("model.attention-temperature", "attention scaled by position without the length of its steps is not supported")
        }
        n.temperature = Attention.Temperature(scale: scale, length: length)
      }
      n.rotarySize = try positiveSize("", "rope.dimension_count")
      n.plainSize = keySize - n.rotarySize
      n.epsilon = normEpsilon
      n.queryRank = try size("", "attention.q_lora_rank")
    } else {
      n.rotarySize = try size("qk_rope_head_dim", "") ?? defaults.rotarySize
      n.plainSize = try size("qk_nope_head_dim", "") ?? defaults.plainSize
      if let rank = configuration.json?["q_lora_rank"] {
        n.queryRank = rank.isNull ? nil : try positiveSize("q_lora_rank", "")
      }
    }
    n.rank = try size("kv_lora_rank", "attention.kv_lora_rank") ?? defaults.rank
    n.valueSize = try size("v_head_dim", "attention.value_length_mla") ?? defaults.valueSize
    guard n.rank > 0, n.plainSize > 0, n.valueSize > 0, n.rotarySize > 0, n.rotarySize.isMultiple(of: 2), n.queryRank != 0 else {
      throw Failure(
        .data, "model.head-size",
        "latent attention is not possible with ranks of \(n.queryRank ?? n.rank) and \(n.rank), and heads of "
          + "\(n.plainSize) + \(n.rotarySize) and \(n.valueSize) channels",
        file: path)
    }
    n.rope = try rope(headSize: n.rotarySize, defaultTheta: defaultTheta, factors: nil, mayBeYarn: true, readsShare: false)
    let scaling = json("rope_scaling") ?? json("rope_parameters") ?? .null
    if let beta = scaling["llama_4_scaling_beta"]?.doubleValue, beta != 0 {
      guard let length = scaling["original_max_position_embeddings"]?.intValue, length > 0 else {
        throw bad("rope_scaling", "lacks the length of the steps by which queries grow")
      }
      n.temperature = Attention.Temperature(scale: beta, length: length)
    }
    n.rope.pairs = json("rope_interleave")?.boolValue ?? true ? .neighbours : .halves
    try readMagnitudes(&n)
    return n
  }

  private func readMagnitudes(_ n: inout LatentNumbers) throws(Failure) {
    switch n.rope.scaling {
    case .none: return
    case .yarn(var yarn):
      if isStored {
        // llama.cpp writes a tenth of it, and assumes that both are equal.
        guard let tenth = metadata("rope.scaling.yarn_log_multiplier")?.doubleValue, yarn.attentionFactor == nil else {
          throw unsupported("model.rope-scaling", "YaRN without the log multiplier of latent attention is not supported")
        }
        let magnitude = Double(Float(try positive(tenth, "rope.scaling.yarn_log_multiplier")) / 0.1)
        (n.magnitude, n.magnitudeOfAll) = (magnitude, magnitude)
        yarn.attentionFactor = 1
        n.rope.scaling = .yarn(yarn)
        return
      }
      let stated = json("rope_scaling") ?? json("rope_parameters") ?? .null
      func magnitude(_ key: String) -> Double? { (stated[key]?.doubleValue).flatMap { $0 > 0 && $0.isFinite ? $0 : nil } }
      guard stated["attention_factor"]?.isNull ?? true else {
        throw unsupported("model.rope-scaling", "'attention_factor' is not supported with latent attention")
      }
      (n.magnitude, n.magnitudeOfAll) = (magnitude("mscale"), magnitude("mscale_all_dim"))
    default: throw unsupported("model.rope-scaling", "latent attention with rotary scaling other than YaRN is not supported")
    }
  }
}

extension GGUFKeys {
  /// What the converter writes for latent attention after the common keys, which state one key-value head: clients use the latent as key
  /// and value of all heads.
  public mutating func setLatent(_ n: LatentNumbers) {
    if let rank = n.queryRank { set("attention.q_lora_rank", rank) }
    set("attention.kv_lora_rank", n.rank)
    set("attention.key_length", n.rank + n.rotarySize)
    set("attention.value_length", n.rank)
    set("attention.key_length_mla", n.keySize)
    set("attention.value_length_mla", n.valueSize)
  }

  /// What the converter of llama.cpp omits although the program reads it: the factor of queries by position.
  public mutating func setTemperature(_ temperature: Attention.Temperature) {
    set("attention.temperature_length", temperature.length)
    set("attention.temperature_scale", temperature.scale)
  }
}
