import FamilyKit
import HuggingFace
import ModelFamilies
import QuantCore
import TestSupport
import Testing

@testable import QuantConversion

/// Marks a key to remove.
private let absent: JSON? = nil

@Suite struct DescriptionTests {
  private func source(_ name: String) throws -> Checkpoint { try Fixture.folder(SharedData.fixture("engine/" + name)) }

  /// A fixture with keys of its `config.json` replaced (or, with nil, removed).
  private func changed(_ name: String, _ changes: [String: JSON?], dropping dropped: String? = nil) throws -> Checkpoint {
    let original = try source(name)
    guard let json = original.configuration?.json else { throw Fixture.Broken() }
    var members = (json.objectValue ?? []).filter { !changes.keys.contains($0.key) }
    for (key, value) in changes { if let value { members.append(JSON.Member(key, value)) } }
    return Checkpoint(
      path: original.path, format: original.format, tensors: original.tensors.filter { $0.name != dropped },
      naming: .huggingFace, configuration: .huggingFace(.object(members)), files: [])
  }

  private func failure(_ name: String, _ changes: [String: JSON?], dropping dropped: String? = nil) throws -> Failure? {
    let checkpoint = try changed(name, changes, dropping: dropped)
    do {
      _ = try Fixture.engine(checkpoint)
      return nil
    } catch let error as Failure { return error }
  }

  @Test(arguments: [
    ("num_attention_heads", JSON.int(0), "model.head-count"),
    ("num_key_value_heads", JSON.int(3), "model.head-count"),
    ("num_key_value_heads", JSON.int(0), "model.head-count"),
    ("head_dim", JSON.int(15), "model.head-size"),
    ("head_dim", JSON.int(0), "model.head-size"),
    ("head_dim", JSON.int(18), "model.tensor-shape"),
    ("num_hidden_layers", JSON.int(1_000_000_000), "model.block-count"),
    ("num_hidden_layers", JSON.int(0), "model.key-value"),
    ("num_hidden_layers", JSON.int(-1), "model.key-value"),
    ("num_hidden_layers", JSON.number("99999999999999999999"), "model.key-value"),
    ("num_hidden_layers", JSON.int(3), "model.tensor-missing"),
    ("hidden_size", JSON.string("32"), "model.key-value"),
    ("hidden_size", JSON.int(2_147_483_647), "model.tensor-shape"),
    ("vocab_size", JSON.int(95), "model.vocabulary"),
    ("rms_norm_eps", JSON.number("NaN"), "model.key-value"),
    ("rope_theta", JSON.int(0), "model.key-value"),
    ("hidden_act", JSON.string("gelu"), "model.activation"),
    ("num_local_experts", JSON.int(8), "model.experts"),
    ("partial_rotary_factor", JSON.double(0.5), "model.rope-partial"),
  ]) func absurdConfigurationsAreRefused(_ key: String, _ value: JSON, _ id: String) throws {
    #expect(try failure("llama3-rope", [key: value])?.id == id)
  }

  @Test(arguments: ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"])
  func missingKeysAreNamed(_ key: String) throws {
    let error = try #require(try failure("llama3-rope", [key: absent]))
    #expect(error.id == "model.key-missing")
    #expect(error.message.contains("'\(key)'"))
  }

  @Test(arguments: ["proportional", "unheard-of"]) func unknownRotaryScalingIsNamed(_ type: String) throws {
    let scaling = JSON.object([JSON.Member("type", .string(type)), JSON.Member("factor", .int(2))])
    let error = try #require(try failure("llama3-rope", ["rope_scaling": scaling]))
    #expect(error.kind == .unsupported && error.id == "model.rope-scaling")
    #expect(error.message.contains(type))
  }

  @Test func theVocabularyFailureHasBothNumbers() throws {
    let error = try #require(try failure("qwen2", ["vocab_size": .int(100)]))
    #expect(error.message.contains("96") && error.message.contains("100"))
  }

  @Test func aMissingTensorIsNamed() throws {
    let name = "model.layers.1.mlp.down_proj.weight"
    let error = try #require(try failure("qwen3", [:], dropping: name))
    #expect(error.id == "model.tensor-missing" && error.tensor == name)
    #expect(try failure("qwen2", [:], dropping: "model.layers.0.self_attn.q_proj.bias")?.id == "model.tensor-missing")
  }

  @Test func rotaryParametersOfTransformers5AreRead() throws {
    let parameters = JSON.object([
      JSON.Member("rope_theta", .double(5000)), JSON.Member("rope_type", .string("linear")), JSON.Member("factor", .int(2)),
    ])
    let checkpoint = try changed("qwen2", ["rope_theta": absent, "rope_scaling": absent, "rope_parameters": parameters])
    let rope = try #require(try Fixture.describe(checkpoint).attention.rope)
    #expect(rope.theta == 5000)
    #expect(rope.scaling == .linear(factor: 2))
  }

  @Test func windowsFollowEachFamilysRule() throws {
    func window(_ name: String, _ changes: [String: JSON?]) throws -> Int? {
      try Fixture.describe(try changed(name, changes)).attention.window
    }
    #expect(try window("mistral-window", [:]) == 7)
    #expect(try window("mistral-window", ["sliding_window": .null]) == nil)
    #expect(try window("mistral-window", ["sliding_window": absent]) == 4096)
    #expect(try window("qwen2", ["sliding_window": .int(9)]) == nil)
    let used: [String: JSON?] = ["sliding_window": .int(9), "use_sliding_window": .bool(true), "layer_types": absent]
    #expect(try window("qwen2", used.merging(["max_window_layers": .int(2)]) { $1 }) == nil)
    #expect(try window("qwen2", used.merging(["max_window_layers": .int(0)]) { $1 }) == 9)
    #expect(try failure("qwen2", used.merging(["max_window_layers": .int(1)]) { $1 })?.id == "model.blocks-differ")
  }

  @Test func everyOtherBlockOfGptOssHasAWindow() throws {
    func windows(_ changes: [String: JSON?]) throws -> [Int?] {
      try Fixture.describe(try changed("gpt-oss", changes)).blocks.map { ($0.branches[0].part as? Attention)?.window }
    }
    #expect(try windows([:]) == [8, nil])
    #expect(try windows(["layer_types": absent]) == [8, nil])
    #expect(try windows(["layer_types": absent, "sliding_window": absent]) == [128, nil])
    let types = JSON.array([.string("full_attention"), .string("sliding_attention")])
    #expect(try windows(["layer_types": types]) == [nil, 8])
    // In llama.cpp the first block has a window; it supports no other order.
    #expect(try Fixture.describe(try changed("gpt-oss", ["layer_types": types])).architecture(.gguf) == nil)
    #expect(try Fixture.describe(try changed("gpt-oss", [:])).architecture(.gguf) == "gpt-oss")
    #expect(try failure("gpt-oss", ["layer_types": .array([.string("full_attention")])])?.id == "model.key-value")
    #expect(
      try failure("gpt-oss", ["layer_types": .array([.string("full_attention"), .string("chunked_attention")])])?.id == "model.key-value")
  }

  @Test func gptOssWithoutScalingIsThePublishedOne() throws {
    func scaling(_ changes: [String: JSON?]) throws -> Rope.Scaling? {
      try Fixture.describe(try changed("gpt-oss", changes)).attention.rope?.scaling
    }
    var published = Rope.Yarn(factor: 32, originalContext: 4096)
    published.isRounded = false
    #expect(try scaling(["rope_scaling": absent]) == .yarn(published))
    #expect(try scaling(["rope_scaling": .null]) == Rope.Scaling.none)
    #expect(try scaling([:]) != .yarn(published))
    #expect(try failure("gpt-oss", ["num_experts_per_tok": .int(5)])?.id == "model.expert-count")
    #expect(try failure("gpt-oss", ["intermediate_size": .int(0)])?.id == "model.key-value")
    #expect(try failure("gpt-oss", ["intermediate_size": .int(32)])?.id == "model.tensor-shape")
  }

  @Test func foldsCoverEverySiteOfABlock() throws {
    for name in FamilyTests.llamaLike {
      let model = try Fixture.describe(try source(name))
      #expect(Set(model.firstGraph.folds.map(\.site)) == Set(model.firstGraph.sites))
      #expect(model.firstGraph.consumers(of: .attentionInput) == [.query, .key, .value])
      #expect(Set(model.tensors.compactMap { $0.name(.huggingFace) }).count == model.tensors.count)
      #expect(Set(model.tensors.compactMap { $0.name(.gguf) }).count == model.tensors.count)
    }
  }

  @Test(arguments: [
    ("opt", [Site.attentionInput, .attentionOutput, .feedForwardInput, .feedForwardOutput]),
    ("opt-post-norm", [.attentionOutput, .feedForwardOutput]), ("opt-gelu", [.attentionInput, .attentionOutput, .feedForwardInput]),
    ("gpt2", [.attentionInput, .attentionOutput, .feedForwardInput]), ("bloom", [.attentionInput, .attentionOutput, .feedForwardInput]),
    ("bloom-residual", [.attentionOutput]),
  ]) func foldsAreThoseThatChangeNothing(_ name: String, _ sites: [Site]) throws {
    #expect(try Fixture.describe(try source(name)).firstGraph.folds.map(\.site) == sites)
  }

  @Test func theNormBeforeAMixtureFeedsRouterAndEveryExpert() throws {
    let graph = try Fixture.describe(try source("mixtral")).firstGraph
    let fold = try #require(graph.folds.first { $0.site == .feedForwardInput })
    let experts: [Layer] = (0..<4).flatMap { (e: Int) -> [Layer] in [Layer(.gate, expert: e), Layer(.up, expert: e)] }
    #expect(graph.consumers(of: fold) == [Layer.router] + experts)
  }

  @Test(arguments: FamilyTests.names) func tensorsOfTheModelFillTheStoredTensors(_ name: String) throws {
    let model = try Fixture.describe(try source(name))
    for naming in [Naming.huggingFace, .gguf] {
      // The outputs of a stored tensor are its elements, its rows, or the columns of all its matrices.
      var filled: [String: (count: Int, outputs: [Int])] = [:]
      for tensor in model.tensors {
        guard let place = tensor.place(naming) else { continue }
        let outputs = (0..<tensor.shape[0]).map { place.layout.containerRow(of: $0, rows: tensor.shape[0]) }
        let all = place.shape.reduce(1, *)
        let count = tensor.shape.count == 1 ? all : place.layout.isTransposed ? all / tensor.shape[1] : place.shape.dropLast().reduce(1, *)
        filled[place.name, default: (count, [])].outputs += outputs
      }
      let padded = model.tensors.first { $0.id == TensorID(.blockEmbedding) }?.name(naming)
      for (name, found) in filled where name != padded { #expect(found.outputs.sorted() == Array(0..<found.count), "\(name)") }
    }
  }

  @Test(arguments: [
    ("opt", "num_attention_heads", JSON.int(5), "model.head-size"), ("opt", "num_attention_heads", .int(0), "model.key-value"),
    ("opt", "ffn_dim", .int(0), "model.key-value"), ("opt", "word_embed_proj_dim", .int(16), "model.tensor-shape"),
    ("opt", "activation_function", .string("tanh"), "model.activation"),
    ("opt", "layer_norm_elementwise_affine", .bool(false), "model.variant"),
    ("opt", "max_position_embeddings", .int(63), "model.tensor-shape"),
    ("gpt2", "n_head", .int(3), "model.head-size"), ("gpt2", "n_inner", .int(64), "model.tensor-shape"),
    ("gpt2", "scale_attn_by_inverse_layer_idx", .bool(true), "model.variant"), ("gpt2", "n_layer", .int(999_999), "model.block-count"),
    ("bloom", "n_head", .int(5), "model.head-size"), ("bloom", "layer_norm_epsilon", .int(-1), "model.key-value"),
    ("mixtral", "num_local_experts", .int(5), "model.tensor-shape"), ("mixtral", "num_local_experts", .int(0), "model.key-missing"),
    ("mixtral", "num_experts_per_tok", .int(5), "model.expert-count"), ("mixtral", "num_experts_per_tok", .int(0), "model.key-value"),
    ("mixtral", "num_local_experts", .int(2_000_000_000), "model.expert-count"),
  ]) func absurdConfigurationsOfOtherShapesAreRefused(_ name: String, _ key: String, _ value: JSON, _ id: String) throws {
    #expect(try failure(name, [key: value])?.id == id)
  }

  /// The defaults of the configuration classes of transformers.
  @Test(arguments: [("llama3-rope", 10_000.0), ("mistral-window", 10_000), ("mixtral", 1_000_000), ("qwen2", 10_000), ("qwen3", 10_000)])
  func withoutABaseOfRotaryFrequenciesTheFamilysIsUsed(_ name: String, _ base: Double) throws {
    #expect(try Fixture.describe(try changed(name, ["rope_theta": absent])).attention.rope?.theta == base)
    #expect(try Fixture.describe(try changed(name, ["rope_theta": .int(500)])).attention.rope?.theta == 500)
  }

  @Test func positionsAfterTheLastLearnedOneAreRefused() throws {
    let engine = try Fixture.engine(try source("opt"))
    func refused(_ body: () throws -> Void) -> String? {
      let failure = #expect(throws: Failure.self) { try body() }
      return failure.flatMap { $0.kind == .usage && $0.remedy?.description.contains("'context' 64") == true ? $0.id : nil }
    }
    let text = [Int](repeating: 3, count: 200)
    #expect(refused { _ = try Evaluation.run(engine, tokens: text, options: EvaluationOptions(context: 65)) } == "model.position-range")
    #expect(try Evaluation.run(engine, tokens: text, options: EvaluationOptions(context: 64)).windows == 3)
    var generator = Generator(engine)
    #expect(refused { _ = try generator.generate(prompt: [3, 4], limit: 64, stop: []) } == "model.position-range")
    #expect(try generator.generate(prompt: [3, 4], limit: 63, stop: []).count == 63)
    #expect(refused { _ = try engine.embed(Array(text[..<65]), sequenceLength: 65) } == "model.position-range")
    #expect(refused { _ = try engine.embed([3], sequenceLength: 1, first: 64) } == "model.position-range")
    #expect(try engine.embed([3], sequenceLength: 1, first: 63).rows == 1)
  }

  @Test func namesWithoutTheWrappersPrefixAreFound() throws {
    for (name, prefix) in [("opt", "model."), ("gpt2", "transformer."), ("bloom", "transformer.")] {
      let original = try source(name)
      let tensors = original.tensors.map { tensor in
        var tensor = tensor
        tensor.name = String(tensor.name.dropFirst(tensor.name.hasPrefix(prefix) ? prefix.count : 0))
        return tensor
      }
      let bare = Checkpoint(
        path: original.path, format: original.format, tensors: tensors, naming: .huggingFace,
        configuration: original.configuration, files: [])
      let tokens = [1, 2, 3]
      let expected = try Fixture.engine(original).allLogits(tokens, sequenceLength: 3)
      #expect(try Fixture.engine(bare).allLogits(tokens, sequenceLength: 3) == expected)
    }
  }

  @Test func everyStoredTensorOfAFixtureIsKnown() throws {
    for name in FamilyTests.names {
      let checkpoint = try source(name)
      let known = Set(try Fixture.describe(checkpoint).tensors.compactMap { $0.name(.huggingFace) })
      #expect(checkpoint.tensors.map(\.name).filter { !known.contains($0) && !HuggingFaceFormat.isRedundant($0) } == [])
    }
  }

  /// The language model of a model with a vision tower, with a configuration that omits defaults, and with the keys of
  /// transformers 5.
  @Test func gemmaIsFoundUnderEveryPrefixAndSpelling() throws {
    let original = try source("gemma3")
    guard let members = original.configuration?.json?.objectValue else { throw Fixture.Broken() }
    let tokens = (0..<20).map { $0 * 29 % 96 }
    let expected = try Fixture.engine(original).allLogits(tokens, sequenceLength: 20)
    let rotation = JSON.object([
      .init("full_attention", .object([.init("rope_type", .string("linear")), .init("factor", .int(4)), .init("rope_theta", .int(1000))])),
      .init("sliding_attention", .object([.init("rope_type", .string("default")), .init("rope_theta", .int(100))])),
    ])
    let others = ["rope_theta", "rope_local_base_freq", "rope_scaling", "max_position_embeddings", "hidden_activation", "architectures"]
    let text = members.filter { !others.contains($0.key) } + [.init("rope_parameters", rotation)]
    let configuration = JSON.object([
      .init("architectures", .array([.string("Gemma3ForConditionalGeneration")])), .init("text_config", .object(text)),
    ])
    for prefix in ["language_model.model.", "model.language_model."] {
      let tensors = original.tensors.map { tensor in
        CheckpointTensor(name: prefix + tensor.name.dropFirst("model.".count), shape: tensor.shape, storage: tensor.storage)
      }
      let vision = CheckpointTensor(name: "vision_tower.layers.0.weight", shape: [2, 2], storage: tensors[0].storage)
      let checkpoint = Checkpoint(
        path: original.path, format: original.format, tensors: tensors + [vision], naming: .huggingFace,
        configuration: .huggingFace(configuration), files: [])
      #expect(try Fixture.engine(checkpoint).allLogits(tokens, sequenceLength: 20) == expected)
      let model = try Fixture.describe(checkpoint)
      #expect(model.contextLength == 131_072)
      var warnings: [String] = []
      let drafts = try TensorMapping(source: checkpoint, reader: HuggingFaceFormat.self, model: model, target: .gguf).drafts(
        warnings: &warnings)
      #expect(drafts.count == original.tensors.count && warnings.count == 1)
      let kept = try TensorMapping(source: checkpoint, reader: HuggingFaceFormat.self, model: model, target: .huggingFace).drafts(
        warnings: &warnings)
      #expect(kept.last?.name == vision.name && kept.last?.isQuantizable == false)
    }
  }

  @Test func whatLlamaCppWouldComputeDifferentlyHasNoPlaceInAGGUF() throws {
    #expect(try Fixture.describe(try source("gemma3")).architecture(.gguf) == "gemma3")
    #expect(try Fixture.describe(try changed("gemma3", ["query_pre_attn_scalar": .int(20)])).architecture(.gguf) == nil)
    #expect(try failure("gemma3", ["attn_logit_softcapping": .int(20)])?.id == "model.variant")
    #expect(try failure("gemma3", ["layer_types": .array([.string("full_attention")])])?.id == "model.key-value")
    #expect(try failure("gemma3", ["use_bidirectional_attention": .bool(true)])?.id == "model.variant")
  }
}
