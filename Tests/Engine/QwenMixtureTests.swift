import FamilyKit
import ModelFamilies
import QuantCore
import TestSupport
import Testing

/// What is special about the mixtures of Qwen2 and Qwen3: dense blocks, a shared expert, stacks, and what llama.cpp assumes.
@Suite struct QwenMixtureTests {
  /// A fixture with other values for some keys (nil: without the key), and other tensors.
  private func changed(
    _ name: String, _ changes: [String: JSON?] = [:], tensors: ([CheckpointTensor]) throws -> [CheckpointTensor] = { $0 }
  ) throws -> Checkpoint {
    let source = try Fixture.folder(SharedData.fixture("engine/" + name))
    var members = (source.configuration?.json?.objectValue ?? []).filter { !changes.keys.contains($0.key) }
    for (key, value) in changes { if let value { members.append(JSON.Member(key, value)) } }
    return Checkpoint(
      path: source.path, format: source.format, tensors: try tensors(source.tensors), naming: .huggingFace,
      configuration: .huggingFace(.object(members)), files: [])
  }

  private func mixture(_ model: ModelDescription, _ block: Int) -> MixtureOfExperts? {
    model.blocks[block].branches.lazy.compactMap { $0.part as? MixtureOfExperts }.first
  }

  private func windows(_ model: ModelDescription) -> [Int?] {
    model.blocks.map { $0.branches.lazy.compactMap { $0.part as? Attention }.first?.window }
  }

  // MARK: Numbers

  @Test func routingFollowsTheConfiguration() throws {
    #expect(mixture(try Fixture.describe(changed("qwen2-moe")), 0)?.routing == ExpertRouting(expertsPerToken: 2, weights: .softmax))
    let normalised = try Fixture.describe(changed("qwen2-moe", ["norm_topk_prob": .bool(true), "num_experts_per_tok": .int(3)]))
    #expect(mixture(normalised, 1)?.routing == ExpertRouting(expertsPerToken: 3, weights: .softmaxOfChosen))
    // The default of the configuration classes.
    let unstated = try Fixture.describe(changed("qwen3-moe", ["norm_topk_prob": nil as JSON?]))
    #expect(mixture(unstated, 0)?.routing.weights == .softmax)
  }

  @Test func sizesOfExpertsAreTheirOwn() throws {
    let qwen2 = try #require(mixture(Fixture.describe(changed("qwen2-moe")), 0))
    #expect(qwen2.expert.innerSize == 24 && qwen2.shared?.innerSize == 40 && qwen2.weighsShared)
    let qwen3 = try #require(mixture(Fixture.describe(changed("qwen3-moe")), 0))
    #expect(qwen3.expert.innerSize == 24 && qwen3.shared == nil && !qwen3.weighsShared)
  }

  /// Blocks without experts are those that are listed, and all but every nth block.
  @Test(
    arguments: [
      (nil, nil, []), (JSON.array([.int(0)]), nil, [0]), (.array([.int(1)]), JSON.int(2), [0, 1]), (nil, .int(2), [0]),
      (.array([]), .int(3), [0, 1]), (.null, .int(1), []),
    ] as [(JSON?, JSON?, [Int])]) func denseBlocksAreThoseOfTheConfiguration(_ listed: JSON?, _ step: JSON?, _ dense: [Int]) throws
  {
    // Descriptions need no tensors of blocks, so any block can be described as dense.
    let model = try Fixture.describe(changed("qwen3-moe", ["mlp_only_layers": listed, "decoder_sparse_step": step]))
    for block in 0..<2 {
      #expect((mixture(model, block) == nil) == dense.contains(block))
      #expect((model.tensor(TensorID(.gate, block: block)) != nil) == dense.contains(block))
      #expect((model.tensor(TensorID(.router, block: block)) == nil) == dense.contains(block))
    }
  }

  @Test func windowsAreThoseOfEveryBlockUnlessListed() throws {
    let window: [String: JSON?] = ["use_sliding_window": .bool(true), "sliding_window": .int(5)]
    #expect(try windows(Fixture.describe(changed("qwen2-moe"))) == [nil, nil])
    #expect(try windows(Fixture.describe(changed("qwen2-moe", ["sliding_window": .int(5)]))) == [nil, nil])
    #expect(try windows(Fixture.describe(changed("qwen2-moe", window))) == [5, 5])
    let types = JSON.array([.string("full_attention"), .string("sliding_attention")])
    let listed = try Fixture.describe(changed("qwen2-moe", window.merging(["layer_types": types]) { $1 }))
    #expect(windows(listed) == [nil, 5])
    let json = try #require(listed.configurations[.huggingFace]?.json)
    #expect(json["layer_types"] == types && json["sliding_window"] == .int(5) && json["use_sliding_window"] == .bool(true))
  }

  @Test func namesOfTransformers5AreRead() throws {
    let parameters = JSON.object([JSON.Member("rope_theta", .double(5000)), JSON.Member("rope_type", .string("default"))])
    let model = try Fixture.describe(
      changed(
        "qwen3-moe",
        [
          "num_experts": nil as JSON?, "num_local_experts": .int(4), "rope_theta": nil as JSON?, "rope_scaling": nil as JSON?,
          "rope_parameters": parameters,
        ]))
    #expect(mixture(model, 0)?.expertCount == 4 && model.attention.rope?.theta == 5000)
  }

  @Test(arguments: [
    ("qwen3-moe", "num_experts", JSON.int(5), "model.tensor-shape"), ("qwen3-moe", "num_experts", .int(0), "model.key-missing"),
    ("qwen3-moe", "num_experts_per_tok", .int(5), "model.expert-count"),
    ("qwen3-moe", "num_experts", .int(2_000_000_000), "model.expert-count"),
    ("qwen3-moe", "moe_intermediate_size", .int(25), "model.tensor-shape"),
    ("qwen3-moe", "moe_intermediate_size", .int(0), "model.key-value"),
    ("qwen3-moe", "decoder_sparse_step", .int(0), "model.key-value"), ("qwen3-moe", "decoder_sparse_step", .int(2), "model.tensor-missing"),
    ("qwen3-moe", "mlp_only_layers", .array([.string("0")]), "model.key-value"),
    ("qwen3-moe", "attention_bias", .bool(true), "model.tensor-missing"), ("qwen3-moe", "hidden_act", .string("gelu"), "model.activation"),
    ("qwen2-moe", "shared_expert_intermediate_size", .int(0), "model.key-value"),
    ("qwen2-moe", "shared_expert_intermediate_size", .int(24), "model.tensor-shape"),
  ]) func absurdConfigurationsAreRefused(_ name: String, _ key: String, _ value: JSON, _ id: String) throws {
    let failure = #expect(throws: Failure.self) { try Fixture.engine(changed(name, [key: value])) }
    #expect(failure?.id == id)
  }

  @Test func listsOfAnotherLengthAreRefused() throws {
    let changes: [String: JSON?] = [
      "use_sliding_window": .bool(true), "sliding_window": .int(5), "layer_types": .array([.string("sliding_attention")]),
    ]
    let failure = #expect(throws: Failure.self) { try Fixture.describe(changed("qwen2-moe", changes)) }
    #expect(failure?.id == "model.key-value" && failure?.message.contains("layer_types") == true)
  }

  // MARK: Graph

  @Test func theNormBeforeAMixtureFeedsRouterSharedExpertAndItsWeight() throws {
    let graph = try Fixture.describe(changed("qwen2-moe")).firstGraph
    let fold = try #require(graph.folds.first { $0.site == .feedForwardInput })
    let experts = (0..<4).flatMap { (e: Int) -> [Layer] in [Layer(.gate, expert: e), Layer(.up, expert: e)] }
    #expect(fold.producer == .norm(.feedForwardNorm))
    #expect(graph.consumers(of: fold) == [.router, Layer(.sharedRouter), Layer(.sharedGate), Layer(.sharedUp)] + experts)
    #expect(Set(graph.folds.map(\.site)) == Set(graph.sites).subtracting((0..<4).map { Site.expertInput($0) }))
  }

  /// Tensors that decide about whole experts are kept unquantized.
  @Test func routerAndWeightOfTheSharedExpertAreSensitive() throws {
    let model = try Fixture.describe(changed("qwen2-moe"))
    for role in [TensorRole.router, .sharedRouter] { #expect(model.kind(of: TensorID(role, block: 0))?.isSensitive == true) }
    for role in [TensorRole.sharedGate, .sharedUp, .sharedDown] {
      #expect(model.kind(of: TensorID(role, block: 0)).map { $0.isWeight && !$0.isSensitive } == true)
    }
  }

  // MARK: GGUF

  private static let normalising = "divides the weights of chosen experts by their sum"

  @Test(arguments: [
    ("qwen3-moe", "norm_topk_prob", JSON.bool(false), "always \(normalising)"),
    ("qwen2-moe", "norm_topk_prob", .bool(true), "never \(normalising)"),
    ("qwen3-moe", "mlp_only_layers", .array([.int(1)]), "block 1 of this model has none"),
    ("qwen2-moe", "decoder_sparse_step", .int(2), "block 0 of this model has none"),
    ("qwen2-moe", "tie_word_embeddings", .bool(true), "ties its output"),
    ("qwen3-moe", "attention_bias", .bool(true), "bias of the attention's output"),
  ]) func whatLlamaCppComputesDifferentlyIsRefusedWithTheReason(_ name: String, _ key: String, _ value: JSON, _ reason: String) throws {
    let model = try Fixture.describe(
      changed(name, [key: value]) { $0.filter { key != "tie_word_embeddings" || $0.name != "lm_head.weight" } })
    #expect(model.configurations[.gguf] == nil && model.configurations[.huggingFace] != nil)
    #expect(model.obstacles[.gguf]?.contains(reason) == true, "\(model.obstacles[.gguf] ?? "none")")
    #expect(try Fixture.describe(changed(name)).obstacles.isEmpty)
  }

  /// llama.cpp loads a tied Qwen3-MoE, and a Qwen2-MoE with or without biases of queries, keys and values.
  @Test func whatLlamaCppComputesIsNotRefused() throws {
    let tied = try Fixture.describe(
      changed("qwen3-moe", ["tie_word_embeddings": .bool(true)]) { $0.filter { $0.name != "lm_head.weight" } })
    #expect(tied.architecture(.gguf) == "qwen3moe")
    #expect(try Fixture.describe(changed("qwen2-moe", ["qkv_bias": .bool(false)])).architecture(.gguf) == "qwen2moe")
  }

  @Test func keysOfAGGUFAreThoseOfTheConverterInItsOrder() throws {
    let values = try #require(Fixture.describe(changed("qwen2-moe")).configurations[.gguf]?.keyValues)
    #expect(
      values.entries.map(\.key) == [
        "general.architecture", "qwen2moe.block_count", "qwen2moe.context_length", "qwen2moe.embedding_length",
        "qwen2moe.feed_forward_length", "qwen2moe.attention.head_count", "qwen2moe.attention.head_count_kv", "qwen2moe.rope.freq_base",
        "qwen2moe.attention.layer_norm_rms_epsilon", "qwen2moe.expert_count", "qwen2moe.expert_used_count", "general.file_type",
        "qwen2moe.expert_feed_forward_length", "qwen2moe.expert_shared_feed_forward_length",
      ])
  }

  private func logits(_ checkpoint: Checkpoint) throws -> Matrix {
    try Fixture.engine(checkpoint).allLogits((0..<40).map { ($0 * 29 + 3) % 96 }, sequenceLength: 40)
  }

  /// Files from before these keys existed, and files whose matrix that weights the shared expert is a vector, as ggml stores it.
  @Test func olderFilesAreRead() throws {
    let twin = try GGUFTwin.of(changed("qwen2-moe"))
    var values = try #require(twin.configuration?.keyValues)
    let tensors = twin.tensors.map { tensor in
      guard tensor.name.hasSuffix("ffn_gate_inp_shexp.weight") else { return tensor }
      return GGUFTwin.f32(tensor.name, [tensor.shape[1]], tensor.matrix().values)
    }
    #expect(tensors.count { $0.name.hasSuffix("ffn_gate_inp_shexp.weight") && $0.shape == [32] } == 2)
    func stored(_ values: KeyValues) -> Checkpoint {
      Checkpoint(
        path: "twin", format: "gguf", tensors: tensors, naming: .gguf,
        configuration: Configuration(values, architecture: "qwen2moe"), files: [])
    }
    #expect(try logits(stored(values)) == logits(changed("qwen2-moe")))
    // Without these keys, a token's experts divide the channels among them, and the shared expert has all of them.
    values["qwen2moe.expert_feed_forward_length"] = nil
    values["qwen2moe.expert_shared_feed_forward_length"] = nil
    values["qwen2moe.feed_forward_length"] = .u32(48)
    let older = try #require(mixture(Fixture.describe(stored(values)), 0))
    #expect(older.expert.innerSize == 24 && older.shared?.innerSize == 48)
  }

  // MARK: Stacks

  /// Experts as transformers 5 holds them: gate above up, all experts in one tensor.
  private func stacking(_ tensors: [CheckpointTensor]) throws -> [CheckpointTensor] {
    var result = tensors.filter { !$0.name.contains(".experts.") }
    for block in 0..<2 {
      let prefix = "model.layers.\(block).mlp.experts."
      func values(_ expert: Int, _ name: String) -> [Float]? {
        tensors.first { $0.name == "\(prefix)\(expert).\(name).weight" }?.matrix().values
      }
      guard values(0, "gate_proj") != nil else { continue }
      let gateUp = try (0..<4).flatMap { try #require(values($0, "gate_proj")) + #require(values($0, "up_proj")) }
      let down = try (0..<4).flatMap { try #require(values($0, "down_proj")) }
      result += [GGUFTwin.f32(prefix + "gate_up_proj", [4, 48, 32], gateUp), GGUFTwin.f32(prefix + "down_proj", [4, 32, 24], down)]
    }
    return result
  }

  @Test(arguments: FamilyTests.qwenMixtures) func stacksGiveTheSameBits(_ name: String) throws {
    let stacked = try changed(name) { try stacking($0) }
    #expect(stacked.tensors.contains { $0.name == "model.layers.1.mlp.experts.gate_up_proj" })
    #expect(!stacked.tensors.contains { $0.name.contains(".experts.0.") })
    #expect(try logits(stacked) == logits(changed(name)))
    let model = try Fixture.describe(stacked)
    #expect(model.tensor(TensorID(.up, block: 1, expert: 2))?.place(.huggingFace)?.layout == RowLayout(firstRow: 2 * 48 + 24))
  }
}
