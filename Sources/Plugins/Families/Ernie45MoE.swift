import FamilyKit
public import QuantCore

/// ERNIE 4.5 with a mixture of experts: the attention of the dense model, and experts chosen by a corrected softmax beside a shared one.
///
/// The traps: the correction decides which experts a token visits, but not how they are weighted; blocks with experts begin at one block,
/// end at another, and may be every n-th; llama.cpp's converter states the size of the shared expert as a quotient that is only right
/// for the published sizes.
public enum Ernie45MoE: ModelFamily {
  /// Id of the family.
  public static let id = "ernie4.5-moe"
  /// One sentence for lists.
  public static let summary = "ERNIE 4.5 with a mixture of experts"
  /// Report.
  public static let reference = "https://ernie.baidu.com/blog/publication/ERNIE_Technical_Report.pdf"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["ernie4_5-moe"] : ["Ernie4_5_MoeForCausalLM", "Ernie4_5_MoEForCausalLM"]
  }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.insertRouted()
    names.rename(
      TensorName(
        .routerCorrection, NamedPlace("mlp.moe_statics.e_score_correction_bias").named(suffix: "").row,
        NamedPlace("exp_probs_b").named(suffix: ".bias").row))
    return names
  }()

  /// Blocks with experts.
  private struct Blocks {
    var first = 1
    var last = 0
    var interval = 1

    init(_ keys: ConfigurationKeys, _ count: Int) throws(Failure) {
      first = try keys.size("moe_layer_start_index", "leading_dense_block_count") ?? (keys.isStored ? 0 : 1)
      last = count - 1
      // A negative number means the last block.
      if let end = keys.json("moe_layer_end_index")?.intValue, end >= 0 { last = end }
      interval = try keys.size("moe_layer_interval", "interleave_moe_layer_step") ?? 1
      guard interval > 0 else { throw keys.bad(keys.name("moe_layer_interval", "interleave_moe_layer_step"), "is 0") }
    }

    func contains(_ block: Int) -> Bool { block >= first && block <= last && (block + 1).isMultiple(of: interval) }
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(ties: true, keyValueHeads: 4, epsilon: 1e-5, tensors: tensors)
    try keys.refuse("use_bias", when: true, "biases are not supported in this architecture")
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 500_000, factors: nil)
    rope.pairs = .neighbours
    let blocks = try Blocks(keys, n.blockCount)
    let chosen = try keys.experts(count: "moe_num_experts", used: "moe_k", blocks: n.blockCount)
    let hasCorrection = !keys.isStored || tensors["blk.\(blocks.first).exp_probs_b.bias"] != nil
    var experts = RoutedExperts(
      routing: ExpertRouting(expertsPerToken: chosen.used, weights: .softmaxOfChosen, hasCorrection: hasCorrection))
    experts.count = chosen.count
    experts.innerSize = try keys.positiveSize("moe_intermediate_size", "expert_feed_forward_length")
    experts.sharedCount = try keys.size("moe_num_shared_experts", "expert_shared_count") ?? (keys.isStored ? 0 : 2)
    if let size = try keys.size("", "expert_shared_feed_forward_length"), size != experts.innerSize * experts.sharedCount {
      throw keys.unsupported("model.variant", "a shared expert of \(size) channels is not supported in this architecture")
    }
    let (attention, mixture) = (n.attention(rope: rope), experts.mixture(width: n.hiddenSize))
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let second: any Part = blocks.contains(block) ? mixture : n.feedForward()
      return [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), attention), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second)]
    }
    decoder.names = names
    var model = try decoder.describe()

    if blocks.interval != 1 || blocks.last < n.blockCount - 1 {
      model.obstacles[.gguf] = "llama.cpp needs experts in every block of 'ernie4_5-moe' from the first with experts on"
    } else if let obstacle = rope.obstacle("ernie4_5-moe") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("ernie4_5-moe")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.setSpacePrefix()
      stored.set("expert_count", experts.count)
      stored.set("expert_used_count", chosen.used)
      stored.set("interleave_moe_layer_step", blocks.interval)
      stored.set("leading_dense_block_count", blocks.first)
      stored.set("expert_feed_forward_length", experts.innerSize)
      stored.set("expert_shared_count", experts.sharedCount)
      if experts.sharedCount > 0 { stored.set("expert_shared_feed_forward_length", experts.innerSize * experts.sharedCount) }
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Ernie4_5_MoeForCausalLM", modelType: "ernie4_5_moe")
    guard hasCorrection, stated.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize || !n.headsFillWidth) else { return model }
    stated.set("use_bias", false)
    stated.set("moe_num_experts", experts.count)
    stated.set("moe_k", chosen.used)
    stated.set("moe_intermediate_size", experts.innerSize)
    stated.set("moe_num_shared_experts", experts.sharedCount)
    stated.set("moe_layer_start_index", blocks.first)
    stated.set("moe_layer_end_index", blocks.last)
    stated.set("moe_layer_interval", blocks.interval)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
