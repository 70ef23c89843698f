public import QuantCore

/// The mixture of experts of DeepSeek and the many models after it: experts in groups, chosen by corrected scores, beside a shared
/// expert that every token visits; the first blocks have one feed-forward network instead.
public struct RoutedExperts: Sendable {
  /// Blocks before the first mixture.
  public var denseBlocks = 0
  /// Experts of a block.
  public var count = 0
  /// Channels inside an expert.
  public var innerSize = 0
  /// Experts that every token visits, which are stored as one.
  public var sharedCount = 0
  public var routing: ExpertRouting

  public init(routing: ExpertRouting) { self.routing = routing }

  /// The mixture of a block.
  public func mixture(width: Int) -> MixtureOfExperts {
    func layer(_ innerSize: Int) -> FeedForward { FeedForward(width: width, innerSize: innerSize, activation: .silu) }
    return MixtureOfExperts(
      layer(innerSize), expertCount: count, routing: routing, shared: sharedCount > 0 ? layer(innerSize * sharedCount) : nil)
  }

  /// Whether expert weights are divided by their sum.
  public var isNormalised: Bool { routing.weights == .normalisedSigmoid || routing.weights == .softmaxOfChosen }
  /// Whether scores are sigmoids rather than a softmax.
  public var isSigmoid: Bool { routing.weights == .sigmoid || routing.weights == .normalisedSigmoid }
}

extension ConfigurationKeys {
  /// The experts that the configuration states, by the keys of DeepSeek-V3.
  /// - Parameters:
  ///   - defaults: assumed for absent keys of a `config.json`, whose class determines how scores are made; a GGUF states it, or means what
  ///     these say.
  ///   - names: keys of a `config.json` for the number of experts, of shared ones, and the factor of the weights.
  ///   - innerSize: the key for the channels inside an expert.
  ///   - used: the key for how many experts a token visits.
  ///   - groups: the key for the number of groups.
  public func routedExperts(
    defaults: RoutedExperts, blocks: Int, tensors: Checkpoint,
    keys names: (count: String, shared: String, scale: String) = ("n_routed_experts", "n_shared_experts", "routed_scaling_factor"),
    innerSize: String = "moe_intermediate_size", used: String = "num_experts_per_tok", groups: String = "n_group"
  ) throws(Failure) -> RoutedExperts {
    var e = defaults
    (e.count, e.routing.expertsPerToken) = try experts(count: names.count, used: used, blocks: blocks)
    e.denseBlocks = try denseBlocks(blocks) ?? (isStored ? firstRouter(blocks, tensors) : defaults.denseBlocks)
    e.innerSize = try positiveSize(innerSize, "expert_feed_forward_length")
    // Some files state the size of all shared experts together.
    let together = try size("", "expert_shared_feed_forward_length").map { $0 / e.innerSize }
    e.sharedCount = try size(names.shared, "expert_shared_count") ?? together ?? (isStored ? 0 : defaults.sharedCount)
    e.routing.scale =
      try number(names.scale, "expert_weights_scale").map { Float($0) } ?? (isStored ? 1 : defaults.routing.scale)
    let isNormalised =
      isStored ? metadata("expert_weights_norm")?.boolValue ?? false : json("norm_topk_prob")?.boolValue ?? defaults.isNormalised
    let function = try size("", "expert_gating_func").flatMap { $0 == 0 ? nil : $0 }
    let isSigmoid = function.map { $0 == RoutedExperts.sigmoid } ?? defaults.isSigmoid
    switch (isSigmoid, isNormalised) {
    case (true, true): e.routing.weights = .normalisedSigmoid
    case (true, false): e.routing.weights = .sigmoid
    case (false, true): e.routing.weights = .softmaxOfChosen
    case (false, false): e.routing.weights = .softmax
    }
    if isStored {
      let name = "blk.\(e.denseBlocks).exp_probs_b"
      e.routing.hasCorrection = tensors[name + ".bias"] != nil || tensors[name] != nil
    }
    e.routing.groups = try self.groups(e, defaults.routing.groups, key: groups)
    return e
  }

  /// The first block of a GGUF that has a router.
  private func firstRouter(_ blocks: Int, _ tensors: Checkpoint) -> Int {
    (0..<blocks).first { tensors["blk.\($0).ffn_gate_inp.weight"] != nil } ?? 0
  }

  /// Nil if all experts are one group.
  private func groups(_ e: RoutedExperts, _ defaults: ExpertRouting.Groups?, key: String) throws(Failure) -> ExpertRouting.Groups? {
    let count = try size(key, "expert_group_count") ?? (isStored ? 1 : defaults?.count ?? 1)
    let chosen = try size("topk_group", "expert_group_used_count") ?? (isStored ? 1 : defaults?.chosen ?? 1)
    if count <= 1 { return nil }
    guard e.count.isMultiple(of: count), chosen > 0, chosen <= count, e.routing.expertsPerToken <= e.count / count * chosen else {
      throw Failure(
        .data, "model.expert-groups",
        "\(e.routing.expertsPerToken) of \(e.count) experts cannot be chosen from \(chosen) of \(count) groups", file: path)
    }
    // llama.cpp scores all groups by their best two.
    return ExpertRouting.Groups(count: count, chosen: chosen, scoredBy: isStored ? 2 : defaults?.scoredBy ?? 2)
  }

  /// Blocks with one feed-forward network, which come first.
  private func denseBlocks(_ blocks: Int) throws(Failure) -> Int? {
    let failure = unsupported("model.expert-blocks", "blocks without experts after the first mixture of experts are not supported")
    // One number for all blocks, or a list with 0 for those without experts.
    let flags = json("moe_layer_freq")?.arrayValue?.map { $0.intValue == 0 }
    if flags == nil, let frequency = try size("moe_layer_freq", ""), frequency != 1, !isStored { throw failure }
    guard let areDense = try json("mlp_layer_types")?.arrayValue.map(areDense) ?? flags else {
      return try size("first_k_dense_replace", "leading_dense_block_count")
    }
    let dense = areDense.prefix { $0 }.count
    guard areDense.count == blocks, !areDense.dropFirst(dense).contains(true) else { throw failure }
    return dense
  }

  private func areDense(_ kinds: [JSON]) throws(Failure) -> [Bool] {
    try kinds.map { (kind) throws(Failure) in
      switch kind.stringValue {
      case "dense": true
      case "sparse": false
      default: throw bad("mlp_layer_types", "names an unknown kind of block")
      }
    }
  }
}

extension RoutedExperts {
  /// llama.cpp's numbers for the scoring functions.
  public static let softmax = 1, sigmoid = 2
}

extension TensorNames {
  /// Inserts the rows of a mixture like DeepSeek's: what corrects the scores after the router, and the shared expert after the others.
  /// - Parameters:
  ///   - correction: its place in a folder, without a suffix; nil: there is none.
  ///   - shared: what the names of the shared expert's matrices begin with in a folder; nil: there is none.
  public mutating func insertRouted(
    correction: NamedPlace? = "mlp.gate.e_score_correction_bias", shared: String? = "mlp.shared_experts"
  ) {
    if let correction {
      insert(
        TensorName(.routerCorrection, correction.named(suffix: ""), NamedPlace("exp_probs_b").named(suffix: ".bias")), after: .router)
    }
    guard let shared else { return }
    insert(
      TensorName(.sharedGate, NamedPlace(shared + ".gate_proj"), "ffn_gate_shexp"),
      TensorName(.sharedUp, NamedPlace(shared + ".up_proj"), "ffn_up_shexp"),
      TensorName(.sharedDown, NamedPlace(shared + ".down_proj"), "ffn_down_shexp"), after: .down)
  }

  /// Names the router and the experts as Mixtral's folders do.
  public mutating func renameExpertsAsMixtral() {
    rename(
      TensorName(.router, "block_sparse_moe.gate", "ffn_gate_inp"),
      TensorName(expert: .gate, "block_sparse_moe.experts.*.w1", "ffn_gate_exps"),
      TensorName(expert: .up, "block_sparse_moe.experts.*.w3", "ffn_up_exps"),
      TensorName(expert: .down, "block_sparse_moe.experts.*.w2", "ffn_down_exps"))
  }

  /// Names the experts of a Mixtral as stacks where a checkpoint has them so, as transformers 5 holds them in memory. Folders of codes have
  /// the published names.
  mutating func stackExpertsOfMixtral(in tensors: Checkpoint) {
    for module in ["mlp", "block_sparse_moe"] {
      for suffix in ["", ".weight"] {
        let gateUp = NamedPlace(module + ".experts.gate_up_proj").named(suffix: suffix)
        guard tensors.tensors.contains(where: { $0.name.hasSuffix("." + gateUp.name + suffix) }) else { continue }
        let down = NamedPlace(module + ".experts.down_proj").named(suffix: suffix)
        rename(
          TensorName(.router, NamedPlace(module + ".gate").apart("block_sparse_moe.gate"), "ffn_gate_inp"),
          TensorName(expert: .gate, gateUp.apart("block_sparse_moe.experts.*.w1"), "ffn_gate_exps"),
          TensorName(expert: .up, gateUp.apart("block_sparse_moe.experts.*.w3"), "ffn_up_exps"),
          TensorName(expert: .down, down.apart("block_sparse_moe.experts.*.w2"), "ffn_down_exps"))
        return
      }
    }
  }
}

extension GGUFKeys {
  /// Groups and the scoring function, which the converter writes after the common keys of experts.
  mutating func setRouting(_ e: RoutedExperts, statesGroups: Bool) {
    if statesGroups {
      set("expert_group_count", e.routing.groups?.count ?? 1)
      set("expert_group_used_count", e.routing.groups?.chosen ?? 1)
    }
    set("expert_gating_func", e.isSigmoid ? RoutedExperts.sigmoid : RoutedExperts.softmax)
  }

  /// What the architecture's own part of the converter writes next.
  public mutating func setRouted(_ e: RoutedExperts) {
    set("expert_feed_forward_length", e.innerSize)
    set("expert_count", e.count)
    set("expert_shared_count", e.sharedCount)
    set("expert_weights_scale", Double(e.routing.scale))
    if e.isNormalised { set("expert_weights_norm", .bool(true)) }
  }
}
