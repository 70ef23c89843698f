import FamilyKit
public import QuantCore

/// Jamba: Mamba with norms of B, C and the time step in most blocks, an attention without positions in the others, and experts in every
/// second feed-forward network.
public enum Jamba: ModelFamily {
  /// Id of the family.
  public static let id = "jamba"
  /// One sentence for lists.
  public static let summary = "Jamba, Mamba and attention, with a mixture of experts in some blocks"
  /// Paper.
  public static let reference = "arXiv:2403.19887"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["jamba"] : ["JambaForCausalLM"] }

  /// Every so many blocks, beginning with one.
  private struct Period {
    var length: Int
    var first: Int

    func contains(_ block: Int) -> Bool { block % length == first % length }
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 8, tensors: tensors)
    func period(_ name: String, _ length: Int, _ first: Int) throws(Failure) -> Period {
      Period(
        length: keys.json("\(name)_layer_period") == nil ? length : try keys.positiveSize("\(name)_layer_period", ""),
        first: try keys.size("\(name)_layer_offset", "") ?? first)
    }
    let attention = try period("attn", 8, 4), mixture = try period("expert", 2, 1)
    let attends = try keys.attentionBlocks(n.blockCount, key: "layers_block_type", others: ["mamba"]) { attention.contains($0) }
    let experts = try keys.experts(count: "num_experts", blocks: n.blockCount)
    let mixes = (0..<n.blockCount).map { block in
      keys.isStored ? tensors["blk.\(block).ffn_gate_inp.weight"] != nil : experts.count > 1 && mixture.contains(block)
    }
    var mamba = try keys.mamba(width: n.hiddenSize, names: .hybrid, tensors: tensors)
    mamba.norm = n.rootMeanSquareNorm(.stepNorm)
    let mixer = mamba
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let first: any Part = attends[block] ? n.attention() : mixer
      let second: any Part =
        mixes[block]
        ? MixtureOfExperts(
          n.feedForward(), expertCount: experts.count, routing: ExpertRouting(expertsPerToken: experts.used, weights: .softmax))
        : n.feedForward()
      return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), first), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
    }
    decoder.names = names(mixer)
    let hasBiases = keys.json("mamba_proj_bias")?.boolValue ?? false
    decoder.bias = { $0.role == .stateStep || hasBiases && $0.kind == .mixer ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases of linear layers in 'jamba', but this model has them"
    } else {
      var stored = GGUFKeys("jamba")
      stored.set("block_count", n.blockCount)
      stored.set("context_length", n.contextLength)
      stored.set("embedding_length", n.hiddenSize)
      stored.set("feed_forward_length", n.feedForwardSize)
      stored.set("attention.head_count", n.headCount)
      stored.setKeyValueHeads(n.keyValueHeadCount, in: attends)
      stored.setMamba(mixer)
      stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
      stored.set("expert_count", experts.count)
      stored.set("expert_used_count", experts.used)
      stored.setFileType()
      model.configurations[.gguf] = stored.configuration
    }
    model.configurations[.huggingFace] = stated(n, attends, mixes, mixer, experts, hasBiases: hasBiases)
    return model
  }

  private static func names(_ mixer: Mamba) -> TensorNames {
    var names = TensorNames.llama
    names.rename(
      TensorName(.feedForwardNorm, "pre_ff_layernorm", "ffn_norm"), TensorName(.gate, "feed_forward.gate_proj", "ffn_gate"),
      TensorName(.up, "feed_forward.up_proj", "ffn_up"), TensorName(.down, "feed_forward.down_proj", "ffn_down"),
      TensorName(.router, "feed_forward.router", "ffn_gate_inp"),
      TensorName(expert: .gate, "feed_forward.experts.*.gate_proj", "ffn_gate_exps"),
      TensorName(expert: .up, "feed_forward.experts.*.up_proj", "ffn_up_exps"),
      TensorName(expert: .down, "feed_forward.experts.*.down_proj", "ffn_down_exps"))
    names.back[0] = TensorName(.outputNorm, "final_layernorm", "output_norm")
    names.insertMamba(mixer, module: "mamba", after: .attentionNorm)
    return names
  }

  /// Nil if no period describes which blocks have an attention, or experts.
  private static func stated(
    _ n: DecoderNumbers, _ attends: [Bool], _ mixes: [Bool], _ mixer: Mamba, _ experts: (count: Int, used: Int), hasBiases: Bool
  ) -> Configuration? {
    func period(_ blocks: [Bool]) -> Period? {
      guard let first = blocks.firstIndex(of: true) else { return Period(length: blocks.count + 1, first: blocks.count) }
      let next = blocks[(first + 1)...].firstIndex(of: true) ?? blocks.count + first
      let period = Period(length: max(first + 1, next - first), first: first)
      return blocks.indices.allSatisfy { period.contains($0) == blocks[$0] } ? period : nil
    }
    guard let attention = period(attends), let mixture = period(mixes) else { return nil }
    var stated = HuggingFaceKeys("JambaForCausalLM", modelType: "jamba")
    guard stated.setCommon(n, rope: Rope(theta: 10_000, dimension: n.headSize), statesHeadSize: false) else { return nil }
    stated.set("attn_layer_period", attention.length)
    stated.set("attn_layer_offset", attention.first)
    stated.set("expert_layer_period", mixture.length)
    stated.set("expert_layer_offset", mixture.first)
    stated.set("num_experts", experts.count)
    stated.set("num_experts_per_tok", experts.used)
    stated.setMamba(mixer, .hybrid)
    stated.set("mamba_proj_bias", hasBiases)
    stated.set("use_mamba_kernels", false)
    return stated.configuration
  }
}
