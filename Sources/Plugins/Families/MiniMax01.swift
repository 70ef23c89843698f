import FamilyKit
public import QuantCore

/// MiniMax-Text-01 and MiniMax-M1: lightning attention in seven of eight blocks, and a mixture of experts in all.
///
/// The traps: what a branch adds to is its normalized input times a factor; one matrix makes queries, keys and values head by head.
public enum MiniMax01: ModelFamily {
  /// Id of the family.
  public static let id = "minimax-01"
  /// One sentence for lists.
  public static let summary = "MiniMax-Text-01 and MiniMax-M1, lightning attention and a mixture of experts"
  /// Paper.
  public static let reference = "arXiv:2501.08313"

  /// Names in `config.json` and in `general.architecture`; the published files have another spelling than the class of transformers.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["minimax-01"] : ["MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM", "MiniMaxForCausalLM"]
  }

  /// What a branch multiplies its normalized input and its result by.
  private struct Factors: Equatable {
    var input = 1.0
    var result = 1.0
  }

  /// What was read from the configuration.
  private struct Facts {
    var numbers: DecoderNumbers
    var rope: Rope
    /// Which blocks have an attention to all tokens.
    var attends: [Bool]
    var experts: (count: Int, used: Int)
    var attention = Factors(), lightning = Factors(), feedForward = Factors()
  }

  /// llama.cpp assumes that the last block of every such period attends to all tokens, and no other.
  private static let knownPeriod = 8

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let n = facts.numbers
    let mixture = MixtureOfExperts(
      n.feedForward(), expertCount: facts.experts.count,
      routing: ExpertRouting(expertsPerToken: facts.experts.used, weights: .softmaxOfChosen))
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      func branch(_ role: TensorRole, _ part: any Part, _ factors: Factors) -> Branch {
        Branch(
          norm: n.rootMeanSquareNorm(role), part, residual: .normed, scale: Float(factors.result / factors.input),
          sumFactor: Float(factors.input))
      }
      let lightning = LightningAttention(
        width: n.hiddenSize, headCount: n.headCount, headSize: n.headSize,
        decayFactor: LightningAttention.decayFactor(block: block, of: n.blockCount),
        norm: Norm(.mixerNorm, .rootMeanSquare, epsilon: keysEpsilon(configuration, n)))
      let first =
        facts.attends[block]
        ? branch(.attentionNorm, n.attention(rope: facts.rope), facts.attention) : branch(.attentionNorm, lightning, facts.lightning)
      return [first, branch(.feedForwardNorm, mixture, facts.feedForward)]
    }
    decoder.names = names(n)
    var model = try decoder.describe()
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts) }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  /// What the norm of a lightning attention adds: its class has a constant, llama.cpp one for all norms.
  private static func keysEpsilon(_ configuration: Configuration, _ n: DecoderNumbers) -> Double {
    configuration.keyValues == nil ? 1e-6 : n.normEpsilon
  }

  private static func names(_ n: DecoderNumbers) -> TensorNames {
    let fused = NamedPlace("self_attn.qkv_proj").ordered(.piecesByTurns(n.headCount))
    let stored = NamedPlace("attn_qkv").ordered(.piecesByTurns(n.headCount))
    var names = TensorNames.llama
    names.insert(
      TensorName(.linearQuery, fused, stored), TensorName(.linearKey, fused, stored), TensorName(.linearValue, fused, stored),
      TensorName(.linearGate, "self_attn.output_gate", "attn_gate"), TensorName(.mixerNorm, "self_attn.norm", "attn_norm_2"),
      TensorName(.mixerOutput, "self_attn.out_proj", "attn_output"), after: .attentionNorm)
    names.renameExpertsAsMixtral()
    return names
  }

  // MARK: Reading

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    let n = try keys.llamaNumbers(epsilon: 1e-5, tensors: tensors)
    let key = keys.json("rotary_dim") == nil ? "partial_rotary_factor" : "rotary_dim"
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 1_000_000, factors: nil, mayBePartial: true, mayBeYarn: false)
    if key == "rotary_dim", let size = try keys.size(key, "") {
      guard size >= 2, size <= n.headSize, size.isMultiple(of: 2) else {
        throw keys.bad(key, "is \(size) of \(n.headSize) dimensions of a head")
      }
      rope.dimension = size
    }
    if let shared = try keys.size("shared_intermediate_size", ""), shared > 0 {
      throw keys.unsupported("model.experts", "a shared expert is not supported in this architecture")
    }
    try keys.refuse("postnorm", when: false, "branches that add to their input before the norm are not supported")
    var facts = Facts(
      numbers: n, rope: rope, attends: try attentionBlocks(keys, n.blockCount),
      experts: try keys.experts(count: "num_local_experts", blocks: n.blockCount))
    if keys.isStored {
      let factor = Factors(input: try keys.number("", "residual_scale") ?? 1)
      (facts.attention, facts.lightning, facts.feedForward) = (factor, factor, factor)
    } else {
      facts.attention = try factors(keys, published: "layernorm_full_attention", saved: "full_attn")
      facts.lightning = try factors(keys, published: "layernorm_linear_attention", saved: "linear_attn")
      facts.feedForward = try factors(keys, published: "layernorm_mlp", saved: "mlp")
    }
    return facts
  }

  private static func factors(_ keys: ConfigurationKeys, published: String, saved: String) throws(Failure) -> Factors {
    func number(_ name: String) throws(Failure) -> Double {
      let key = keys.json("\(published)_\(name)") == nil ? "\(saved)_\(name)_factor" : "\(published)_\(name)"
      return try keys.number(key, "") ?? 1
    }
    return Factors(input: try number("alpha"), result: try number("beta"))
  }

  private static func attentionBlocks(_ keys: ConfigurationKeys, _ blocks: Int) throws(Failure) -> [Bool] {
    func isLast(_ block: Int) -> Bool { (block + 1).isMultiple(of: knownPeriod) }
    if keys.isStored {
      return try keys.sizes(stored: "attention.recurrent_layers", blocks: blocks)?.map { $0 == 0 } ?? (0..<blocks).map(isLast)
    }
    if let flags = keys.json("attn_type_list")?.arrayValue {
      guard flags.count == blocks else { throw keys.bad("attn_type_list", "has \(flags.count) values for \(blocks) blocks") }
      return flags.map { $0.intValue == 1 }
    }
    return try keys.attentionBlocks(blocks, others: ["linear_attention"]) { !($0 + 1).isMultiple(of: 2) }
  }

  // MARK: Stating

  private static func obstacle(_ facts: Facts) -> String? {
    if facts.attends.indices.contains(where: { facts.attends[$0] != ($0 + 1).isMultiple(of: knownPeriod) }) {
      return "llama.cpp assumes that every eighth block of 'minimax-01', and only these, attends to all tokens"
    }
    let factors = [facts.attention, facts.lightning, facts.feedForward]
    if factors.contains(where: { $0 != Factors(input: facts.feedForward.input) }) {
      return "llama.cpp has one factor for the inputs of all branches in 'minimax-01', and none for their results"
    }
    return facts.rope.obstacle("minimax-01")
  }

  private static func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers
    var stored = GGUFKeys("minimax-01")
    stored.setCommon(n, rope: facts.rope, experts: facts.experts, statesHeadSize: n.statesHeadSize)
    stored.set("residual_scale", facts.feedForward.input)
    stored.set("rope.dimension_count", facts.rope.dimension)
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers
    var stated = HuggingFaceKeys("MiniMaxForCausalLM", modelType: "minimax")
    guard stated.setCommon(n, rope: facts.rope, statesHeadSize: true) else { return nil }
    stated.set("rotary_dim", facts.rope.dimension)
    stated.set("attn_type_list", .array(facts.attends.map { .int($0 ? 1 : 0) }))
    stated.set("layer_types", .array(facts.attends.map { .string($0 ? "full_attention" : "linear_attention") }))
    for (published, saved, factors) in [
      ("layernorm_full_attention", "full_attn", facts.attention), ("layernorm_linear_attention", "linear_attn", facts.lightning),
      ("layernorm_mlp", "mlp", facts.feedForward),
    ] {
      for (name, value) in [("alpha", factors.input), ("beta", factors.result)] {
        stated.set("\(published)_\(name)", value)
        stated.set("\(saved)_\(name)_factor", value)
      }
    }
    stated.set("num_local_experts", facts.experts.count)
    stated.set("num_experts_per_tok", facts.experts.used)
    return stated.configuration
  }
}
