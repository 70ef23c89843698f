import FamilyKit
import QuantCore

/// What the families of Granite share: Llama's blocks with four factors.
struct GraniteDecoder {
  /// Id of the family.
  var family: String
  /// What a GGUF calls the architecture.
  var ggufArchitecture: String
  /// Whether a mixture of experts takes the place of the feed-forward network.
  var hasExperts: Bool
  /// Whether Mamba-2 takes the place of the attention in some blocks.
  var isHybrid = false

  /// The four factors. Without a key, a GGUF means those of Llama, and a `config.json` means 1.
  private struct Factors {
    var embedding = 1.0
    /// Of the products of queries and keys.
    var scores = 1.0
    /// Of the output of each branch.
    var residual = 1.0
    /// What logits are divided by.
    var logits = 1.0

    init(_ keys: ConfigurationKeys, headSize: Int) throws(Failure) {
      embedding = try keys.number("embedding_multiplier", "embedding_scale") ?? 1
      scores = try keys.number("attention_multiplier", "attention.scale") ?? (keys.isStored ? 1 / Double(headSize).squareRoot() : 1)
      residual = try keys.number("residual_multiplier", "residual_scale") ?? 1
      logits = try keys.number("logits_scaling", "logit_scale") ?? 1
    }
  }

  /// What was read from the configuration and the checkpoint.
  private struct Facts {
    var numbers: DecoderNumbers
    var rope: Rope
    var factors: Factors
    /// Nil: there are none.
    var experts: (count: Int, used: Int)?
    /// Channels inside the shared expert; 0: there is none.
    var sharedSize = 0
    var hasBiases = false
    var hasFeedForwardBiases = false
    var hybrid: Hybrid?
  }

  /// What only hybrids have.
  private struct Hybrid {
    /// Which blocks have an attention.
    var attends: [Bool]
    /// The mixer of the others.
    var mixer: Mamba2
    var hasBiases: Bool
    /// Whether queries and keys are rotated to their positions.
    var hasPositions: Bool
    /// Whether the keys of a GGUF count experts even if there are none.
    var statesExperts: Bool

    init(_ keys: ConfigurationKeys, _ n: DecoderNumbers, _ tensors: Checkpoint) throws(Failure) {
      attends = try keys.attentionBlocks(n.blockCount, others: ["mamba", "linear_attention"]) { _ in false }
      hasBiases = keys.json(Mamba2Keys.hybrid.bias)?.boolValue ?? false
      hasPositions =
        keys.isStored
        ? keys.metadata("rope.scaling.finetuned")?.boolValue ?? true : keys.json("position_embedding_type")?.stringValue == "rope"
      statesExperts = keys.json("num_local_experts") != nil || keys.metadata("expert_count") != nil
      let defaults = Mamba2(
        width: n.hiddenSize, headCount: 128, headSize: 64, stateSize: 256, groupCount: 1, kernelSize: 4,
        norm: n.rootMeanSquareNorm(.mixerNorm))
      let expand = keys.json("mamba_expand") == nil ? 2 : try keys.positiveSize("mamba_expand", "")
      mixer =
        attends.contains(false)
        ? try keys.mamba2(.hybrid, defaults: defaults, innerSize: expand * n.hiddenSize, tensors: tensors) : defaults
    }

    /// Whether some blocks have another mixer than an attention.
    var mixes: Bool { attends.contains(false) }
  }

  /// Builds the description that a configuration means.
  func describe(_ configuration: Configuration, tensors: Checkpoint) throws(Failure) -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let facts = try read(keys, tensors)
    let n = facts.numbers
    var decoder = Decoder(family: family, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { branches(facts, $0) }
    decoder.names = names(facts)
    decoder.bias = { tensor in
      switch tensor.kind {
      case .attention: facts.hasBiases ? .always : .never
      case .feedForward: facts.hasFeedForwardBiases ? .always : .never
      case .mixer: facts.hybrid?.hasBiases ?? false ? .always : .never
      default: .never
      }
    }
    decoder.embedding.scale = Float(facts.factors.embedding)
    decoder.head.scale = Float(1 / facts.factors.logits)
    decoder.tabulatedRope = facts.rope
    var model = try decoder.describe()
    model.obstacles[.gguf] = obstacle(facts)
    if model.obstacles[.gguf] == nil { model.configurations[.gguf] = stored(facts) }
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  private func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var n = try keys.llamaNumbers(tensors: tensors)
    let hybrid = isHybrid ? try Hybrid(keys, n, tensors) : nil
    var facts = Facts(
      numbers: n, rope: try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: tensors[RopeFactors.name]),
      factors: try Factors(keys, headSize: n.headSize), hybrid: hybrid)
    if hasExperts {
      facts.experts = try keys.experts(count: "num_local_experts", blocks: n.blockCount)
      facts.sharedSize = try keys.size("shared_intermediate_size", "expert_shared_feed_forward_length") ?? 0
    } else {
      facts.hasFeedForwardBiases = keys.hasBiases("mlp_bias", stored: "blk.0.ffn_up.bias", tensors)
      if isHybrid, !keys.isStored {
        n.feedForwardSize = keys.json("shared_intermediate_size") == nil ? 1024 : try keys.positiveSize("shared_intermediate_size", "")
      }
    }
    if hybrid?.mixes == true { n.contextLength = 1 << 20 }
    let attention = hybrid?.attends.firstIndex(of: true) ?? 0
    facts.hasBiases = keys.hasBiases("attention_bias", stored: "blk.\(attention).attn_q.bias", tensors)
    facts.numbers = n
    return facts
  }

  private func branches(_ facts: Facts, _ block: Int) -> [Branch] {
    let n = facts.numbers
    let first: any Part
    if let hybrid = facts.hybrid, !hybrid.attends[block] {
      first = hybrid.mixer
    } else {
      var attention = n.attention(rope: facts.hybrid?.hasPositions ?? true ? facts.rope : nil)
      attention.scale = Float(facts.factors.scores)
      first = attention
    }
    let second: any Part =
      if let experts = facts.experts {
        MixtureOfExperts(
          n.feedForward(), expertCount: experts.count,
          routing: ExpertRouting(expertsPerToken: experts.used, weights: .softmaxOfChosen),
          shared: facts.sharedSize > 0 ? n.feedForward(innerSize: facts.sharedSize) : nil)
      } else {
        n.feedForward()
      }
    let scale = Float(facts.factors.residual)
    return [
      Branch(norm: n.rootMeanSquareNorm(.attentionNorm), first, scale: scale),
      Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second, scale: scale),
    ]
  }

  private func names(_ facts: Facts) -> TensorNames {
    let gateUp = NamedPlace("block_sparse_moe.input_linear"), shared = NamedPlace("shared_mlp.input_linear")
    var names = TensorNames.llamaInPairs
    names.rename(
      TensorName(.router, "block_sparse_moe.router.layer", "ffn_gate_inp"), TensorName(expert: .gate, gateUp, "ffn_gate_exps"),
      TensorName(expert: .up, gateUp, "ffn_up_exps"), TensorName(expert: .down, "block_sparse_moe.output_linear", "ffn_down_exps"))
    names.insert(
      TensorName(.sharedGate, shared, "ffn_gate_shexp"), TensorName(.sharedUp, shared, "ffn_up_shexp"),
      TensorName(.sharedDown, "shared_mlp.output_linear", "ffn_down_shexp"), after: .down)
    guard let hybrid = facts.hybrid else { return names }
    names.insertMamba2(hybrid.mixer, module: "mamba", after: .attentionNorm)
    guard facts.experts == nil else { return names }
    names.rename(
      TensorName(.gate, shared, "ffn_gate"), TensorName(.up, shared, "ffn_up"), TensorName(.down, "shared_mlp.output_linear", "ffn_down"))
    return names
  }

  private func obstacle(_ facts: Facts) -> String? {
    let n = facts.numbers
    guard n.headsFillWidth else {
      return "llama.cpp assumes that the heads of '\(ggufArchitecture)' are together as wide as the hidden states"
    }
    guard let hybrid = facts.hybrid else { return nil }
    if hybrid.hasBiases { return "llama.cpp has no biases of mixers in 'granitehybrid', but this model has them" }
    if hybrid.mixes, hybrid.hasPositions { return "llama.cpp has no positions in 'granitehybrid', but this model has them" }
    if !hybrid.mixes, !hybrid.hasPositions { return "llama.cpp needs positions in 'granite', but this model has none" }
    if hybrid.mixes, hybrid.mixer.innerSize != 2 * n.hiddenSize {
      return "llama.cpp assumes that the mixers of 'granitehybrid' are twice as wide as the hidden states"
    }
    return nil
  }

  private func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers
    let mixes = facts.hybrid?.mixes ?? false
    var stored = GGUFKeys(isHybrid && !mixes ? hasExperts ? "granitemoe" : "granite" : ggufArchitecture)
    let none = facts.hybrid?.statesExperts ?? false ? (count: 0, used: 0) : nil
    stored.setCommon(n, rope: facts.rope, experts: facts.experts ?? none, statesHeadSize: false)
    if mixes {
      stored.set("vocab_size", n.vocabularySize)
      stored.set("rope.dimension_count", facts.rope.dimension)
    } else {
      stored.setRotation(n, facts.rope)
    }
    stored.set("attention.scale", facts.factors.scores)
    stored.set("embedding_scale", facts.factors.embedding)
    stored.set("residual_scale", facts.factors.residual)
    stored.set("logit_scale", facts.factors.logits)
    if facts.sharedSize > 0 {
      stored.set("expert_shared_feed_forward_length", facts.sharedSize)
    } else if isHybrid {
      stored.set("expert_shared_feed_forward_length", n.feedForwardSize)
    }
    if let hybrid = facts.hybrid, mixes {
      stored.setMamba2(hybrid.mixer)
      stored.setKeyValueHeads(n.keyValueHeadCount, in: hybrid.attends)
      stored.set("rope.scaling.finetuned", .bool(false))
    }
    return stored.configuration
  }

  private func stated(_ facts: Facts) -> Configuration? {
    let n = facts.numbers
    let (architecture, modelType) =
      isHybrid
      ? ("GraniteMoeHybridForCausalLM", "granitemoehybrid")
      : !hasExperts
        ? ("GraniteForCausalLM", "granite")
        : facts.sharedSize > 0 ? ("GraniteMoeSharedForCausalLM", "granitemoeshared") : ("GraniteMoeForCausalLM", "granitemoe")
    var stated = HuggingFaceKeys(architecture, modelType: modelType)
    guard stated.setCommon(n, rope: facts.rope, statesHeadSize: !n.headsFillWidth) else { return nil }
    stated.set("attention_bias", facts.hasBiases)
    if !hasExperts, !isHybrid { stated.set("mlp_bias", facts.hasFeedForwardBiases) }
    stated.set("embedding_multiplier", facts.factors.embedding)
    stated.set("attention_multiplier", facts.factors.scores)
    stated.set("residual_multiplier", facts.factors.residual)
    stated.set("logits_scaling", facts.factors.logits)
    if let experts = facts.experts {
      stated.set("num_local_experts", experts.count)
      stated.set("num_experts_per_tok", experts.used)
      if facts.sharedSize > 0 { stated.set("shared_intermediate_size", facts.sharedSize) }
    }
    guard let hybrid = facts.hybrid else { return stated.configuration }
    if facts.experts == nil {
      stated.set("num_local_experts", 0)
      stated.set("num_experts_per_tok", 0)
      stated.set("shared_intermediate_size", n.feedForwardSize)
    }
    stated.set("layer_types", .array(hybrid.attends.map { .string($0 ? "attention" : "mamba") }))
    stated.set("position_embedding_type", .string(hybrid.hasPositions ? "rope" : "nope"))
    if hybrid.mixes {
      stated.setMamba2(hybrid.mixer, .hybrid, hasBiases: hybrid.hasBiases)
      stated.set("mamba_expand", max(1, hybrid.mixer.innerSize / n.hiddenSize))
    }
    return stated.configuration
  }
}
