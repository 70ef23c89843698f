import Glibc
import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Conversions of DeepSeek's attention: one matrix of a folder is two tensors of a GGUF, one of them transposed head by head.
@Suite struct LatentAttentionTests {
  private let registry: Registry
  private let opening: Opening
  private let folder = TemporaryFolder()
  private let model: String
  private let heads = 4, plain = 32, value = 6, rank = 32

  init() throws {
    registry = try Registry(QConvert.builtIn)
    opening = Opening(registry)
    model = try RandomModel.copy("deepseek-v3", into: folder)
    writeFile(folder.file("text.txt"), Array(RandomModel.text.utf8))
  }

  private func request(_ input: String, _ output: String, scheme: String, methods: [String] = []) -> ConversionRequest {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.scheme = scheme
    request.methods = methods.map { (id: $0, options: [:]) }
    request.threads = 2
    request.calibration.files = [folder.file("text.txt")]
    request.calibration.samples = 8
    request.calibration.context = 64
    return request
  }

  @discardableResult private func convert(
    _ input: String, _ output: String, scheme: String, methods: [String] = []
  ) throws -> (made: Checkpoint, plan: ConversionPlan) {
    let plan = try Planner(registry).plan(request(input, output, scheme: scheme, methods: methods))
    try Converter(registry).run(plan, progress: SilentProgress())
    return (try opening.open(folder.file(output)), plan)
  }

  private func logits(_ checkpoint: Checkpoint) throws -> Matrix {
    let engine = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
    var hidden = try engine.embed((0..<40).map { ($0 * 29 + 3) % 96 }, sequenceLength: 40)
    for index in 0..<engine.model.blocks.count { engine.runBlock(engine.loadBlock(index), hidden: &hidden, sequenceLength: 40) }
    return engine.logits(hidden)
  }

  /// ‖a − b‖ / ‖b‖. A token that is routed to another expert after rounding is far off, but there are few.
  private func relativeError(_ a: Matrix, _ b: Matrix) -> Float {
    let squares = zip(a.values, b.values).reduce((error: Float(0), all: Float(0))) { sums, pair in
      (sums.error + (pair.0 - pair.1) * (pair.0 - pair.1), sums.all + pair.1 * pair.1)
    }
    return (squares.error / squares.all).squareRoot()
  }

  /// The matrix of keys and values as a folder stores it.
  private func fused(_ checkpoint: Checkpoint) throws -> [Float] {
    try #require(checkpoint["model.layers.0.self_attn.kv_b_proj.weight"]).matrix().values
  }

  @Test func keysAndValuesAreCutApartAndKeysTransposed() throws {
    let source = try fused(opening.open(model))
    let made = try convert(model, "model.gguf", scheme: "f32").made
    let keys = try #require(made["blk.0.attn_k_b.weight"]), values = try #require(made["blk.0.attn_v_b.weight"])
    #expect(keys.shape == [heads, rank, plain] && values.shape == [heads, value, rank])
    let (k, v) = (keys.matrix().values, values.matrix().values)
    for head in 0..<heads {
      let first = head * (plain + value)
      for c in 0..<rank {
        for row in 0..<plain { #expect(k[(head * rank + c) * plain + row] == source[(first + row) * rank + c]) }
        for row in 0..<value { #expect(v[(head * value + row) * rank + c] == source[(first + plain + row) * rank + c]) }
      }
    }
    #expect(try logits(made) == logits(opening.open(model)))
    let back = try convert(folder.file("model.gguf"), "back", scheme: "f32").made
    #expect(try fused(back) == source)
    #expect(try logits(back) == logits(made))
  }

  /// The rows of the file are rounded, both when tensors are streamed and when a block is calibrated.
  @Test(arguments: [[], ["rtn"], ["awq"], ["gptq"]]) func transposedKeysAreRoundedByTheSchemeAlone(_ methods: [String]) throws {
    let plain = try convert(model, "plain.gguf", scheme: "f32").made
    let (made, plan) = try convert(model, "rounded.gguf", scheme: "q8_0", methods: methods)
    let stored = try #require(plain["blk.1.attn_k_b.weight"])
    let scheme = try registry.scheme("q8_0", modelType: .f32)
    let expected = stored.matrix().values
    var values = [Float](repeating: 0, count: expected.count)
    expected.withUnsafeBufferPointer { from in
      values.withUnsafeMutableBufferPointer { to in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        scheme.roundTrip(Panel(base: from, rows: heads * rank, columns: self.plain, rowStride: self.plain), importance: nil, into: to)
      }
    }
    let keys = try #require(made["blk.1.attn_k_b.weight"])
    #expect(keys.storage.schemeName == "q8_0")
    // A fold before the latent scales rows of the file, and with them the scales of their blocks.
    if methods != ["awq"] { #expect(keys.matrix().values == values) }
    #expect(plan.warnings.contains { $0.contains("attn_k_b") } == (methods == ["awq"] || methods == ["gptq"]))
    #expect(try relativeError(logits(made), logits(plain)) < 0.2)
  }

  @Test(arguments: ["awq", "gptq"]) func methodsRoundEveryLinearLayerOfAFolder(_ method: String) throws {
    let made = try convert(model, "quantized", scheme: "int8-channel", methods: [method]).made
    for name in ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"] {
      #expect(made["model.layers.1.self_attn.\(name).weight"]?.storage.codes != nil, "\(name)")
    }
    #expect(made["model.layers.1.mlp.shared_experts.down_proj.weight"]?.storage.codes != nil)
    for name in ["mlp.gate.weight", "mlp.gate.e_score_correction_bias", "self_attn.kv_a_layernorm.weight"] {
      #expect(made["model.layers.1.\(name)"]?.storage.codes == nil, "\(name)")
    }
    #expect(try relativeError(logits(made), logits(opening.open(model))) < 0.2)
  }

  /// As DeepSeek publishes it: the last block is followed by one that predicts a further token.
  private func withFurtherBlock() throws -> EditedFolder {
    var edited = try EditedFolder(model)
    edited.tensors += edited.tensors.filter { $0.name.hasPrefix("model.layers.1.self_attn.") }.map { tensor in
      var copy = tensor
      copy.name = tensor.name.replacing("layers.1.", with: "layers.2.")
      return copy
    }
    edited.tensors.append(
      .init(name: "model.layers.2.eh_proj.weight", type: "BF16", shape: [32, 64], bytes: [UInt8](repeating: 60, count: 4096)))
    edited.set("num_nextn_predict_layers", to: .int(1))
    edited.save()
    return edited
  }

  @Test func blocksThatPredictFurtherTokensAreLeftOutOfAGGUFAndCounted() throws {
    let expected = try convert(model, "plain.gguf", scheme: "f16").made
    let edited = try withFurtherBlock()
    let (made, plan) = try convert(edited.path, "model.gguf", scheme: "f16")
    #expect(made.tensors.map(\.name) == expected.tensors.map(\.name))
    #expect(made.metadata["deepseek2.block_count"] == .u32(2))
    #expect(plan.warnings.contains { $0.hasPrefix("8 tensors of blocks that predict further tokens are left out") })
  }

  @Test func theyStayAsTheyAreWithinFolders() throws {
    let edited = try withFurtherBlock()
    let source = try opening.open(edited.path)
    let made = try convert(edited.path, "quantized", scheme: "int8-channel").made
    for tensor in source.tensors where tensor.name.hasPrefix("model.layers.2.") {
      #expect(made[tensor.name]?.storage.schemeName == "bf16" && made[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)")
    }
    #expect(made["model.layers.1.self_attn.o_proj.weight"]?.storage.codes != nil)
  }

  @Test func otherTensorsAreStillMistakes() throws {
    var edited = try EditedFolder(model)
    edited.change("model.layers.1.self_attn.o_proj.weight") { $0.name = "model.layers.1.self_attn.other.weight" }
    edited.tensors.append(
      .init(name: "model.layers.1.self_attn.o_proj.weight", type: "BF16", shape: [32, 24], bytes: [UInt8](repeating: 0, count: 1536)))
    edited.save()
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request(model, "model.gguf", scheme: "f16")) }
    #expect(failure?.id == "convert.unmapped" && failure?.tensor == "model.layers.1.self_attn.other.weight")
  }

  /// A client that runs the GGUF sees the inputs of values head by head.
  @Test func importanceOfValuesIsStoredForEveryHeadAndThatOfKeysIsNot() throws {
    var warnings: [String] = []
    _ = try StatisticsRun(request(model, "im.gguf", scheme: "f16"), registry: registry, warnings: &warnings).run(progress: SilentProgress())
    let importance = try registry.readImportance(folder.file("im.gguf"))
    let values = try #require(importance.entries["blk.0.attn_v_b.weight"])
    #expect(values.meanSquares.count == heads * rank && values.tokens.count == heads)
    #expect(Array(values.meanSquares[..<rank]) == Array(values.meanSquares[rank..<2 * rank]))
    #expect(importance.entries["blk.0.attn_k_b.weight"] == nil)
    #expect(importance.entries["blk.0.attn_q_b.weight"]?.meanSquares.count == 20)
  }

  @Test func scalesOfACacheAreRefused() throws {
    var asked = request(model, "quantized", scheme: "fp8")
    asked.keyValueCache = "fp8"
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(asked) }
    #expect(failure?.id == "cache.no-site" && failure?.kind == .unsupported && failure?.remedy?.description.isEmpty == false)
  }

  // MARK: - Configurations

  private static let refusals: [(key: String, value: JSON, id: String, kind: Failure.Kind)] = [
    ("n_group", .int(3), "model.expert-groups", .data), ("topk_group", .int(0), "model.expert-groups", .data),
    ("num_experts_per_tok", .int(5), "model.expert-groups", .data), ("num_experts_per_tok", .int(9), "model.expert-count", .data),
    ("moe_layer_freq", .int(2), "model.expert-blocks", .unsupported), ("num_key_value_heads", .int(2), "model.head-count", .unsupported),
    ("qk_rope_head_dim", .int(3), "model.head-size", .data), ("kv_lora_rank", .int(0), "model.head-size", .data),
    ("q_lora_rank", .int(0), "model.key-value", .data), ("hidden_act", .string("gelu"), "model.activation", .unsupported),
    ("rope_scaling", .object([.init("rope_type", .string("linear")), .init("factor", .int(2))]), "model.rope-scaling", .unsupported),
    ("kv_lora_rank", .int(16), "model.tensor-shape", .data),
  ]

  @Test(arguments: refusals.indices) func invalidConfigurationsAreRefused(_ index: Int) throws {
    let refusal = Self.refusals[index]
    var edited = try EditedFolder(model)
    edited.set(refusal.key, to: refusal.value)
    edited.save()
    let failure = #expect(throws: Failure.self) {
      let checkpoint = try opening.open(model)
      _ = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 1))
    }
    #expect(failure?.id == refusal.id && failure?.kind == refusal.kind, "\(failure?.id ?? "")")
  }

  /// Transformers 5 lists which blocks are dense, and leaves out keys with default values.
  @Test func theSpellingOfTransformers5MeansTheSame() throws {
    let expected = try opening.describe(opening.open(model))
    var edited = try EditedFolder(model)
    for key in ["first_k_dense_replace", "norm_topk_prob", "n_shared_experts", "rope_interleave", "rope_theta", "rope_scaling"] {
      edited.set(key, to: nil)
    }
    edited.set("mlp_layer_types", to: .array([.string("dense"), .string("sparse")]))
    edited.set("rope_parameters", to: .object([.init("rope_type", .string("default")), .init("rope_theta", .int(10000))]))
    edited.save()
    #expect(try opening.describe(opening.open(model)).blocks == expected.blocks)
  }

  @Test(arguments: ["attention_bias", "rope_interleave"]) func whatLlamaCppComputesOtherwiseIsNotWritten(_ key: String) throws {
    let path = try RandomModel.copy("deepseek-v3-yarn", into: folder)
    var edited = try EditedFolder(path)
    // Only one of the two reasons is left; llama.cpp would expect a latent for queries in any case.
    edited.set(key == "attention_bias" ? "rope_interleave" : "attention_bias", to: .bool(key == "attention_bias"))
    if key != "attention_bias" { edited.tensors.removeAll { $0.name.contains("self_attn") && $0.name.hasSuffix("bias") } }
    edited.save()
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request(path, "model.gguf", scheme: "f16")) }
    #expect(failure?.id == "gguf.architecture")
  }

  /// An adapter of rank 1 that adds `(row + 1) · (column + 1)`.
  private func adapter() throws -> String {
    let path = folder.file("adapter")
    mkdir(path, 0o755)
    let text = #"{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["kv_b_proj"], "task_type": "CAUSAL_LM"}"#
    writeFile(path + "/adapter_config.json", Array(text.utf8))
    let name = "base_model.model.model.layers.0.self_attn.kv_b_proj.lora_"
    var header: [JSON.Member] = [], data: [UInt8] = []
    for (letter, shape) in [("A", [1, rank]), ("B", [heads * (plain + value), 1])] {
      let bytes = NumberConversion.bytes(of: (0..<shape.reduce(1, *)).map { Float($0 + 1) }, as: .f32)
      header.append(
        .init(
          "\(name)\(letter).weight",
          .object([
            .init("dtype", .string("F32")), .init("shape", .array(shape.map { .int($0) })),
            .init("data_offsets", .array([.int(data.count), .int(data.count + bytes.count)])),
          ])))
      data += bytes
    }
    let json = Array(JSON.object(header).text().utf8)
    writeFile(path + "/adapter_model.safetensors", withUnsafeBytes(of: UInt64(json.count).littleEndian) { [UInt8]($0) } + json + data)
    return path
  }

  @Test func anAdapterOfKeysAndValuesIsMergedIntoAFolderAndRefusedForAGGUF() throws {
    var asked = request(model, "merged.gguf", scheme: "f32")
    asked.adapters = [AdapterRequest(path: try adapter())]
    try Converter(registry).run(Planner(registry).plan(asked), progress: SilentProgress())
    let merged = try opening.open(asked.output)
    let plainValues = try #require(convert(model, "plain.gguf", scheme: "f32").made["blk.0.attn_k_b.weight"]).matrix().values
    let found = try #require(merged["blk.0.attn_k_b.weight"]).matrix().values
    for head in 0..<heads {
      for c in 0..<rank {
        for row in 0..<plain {
          let index = (head * rank + c) * plain + row
          #expect(abs(found[index] - plainValues[index] - Float((head * (plain + value) + row + 1) * (c + 1))) < 0.01)
        }
      }
    }
    asked.input = folder.file("plain.gguf")
    asked.output = folder.file("refused.gguf")
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(asked) }
    #expect(failure?.id == "adapter.no-place")
  }
}
