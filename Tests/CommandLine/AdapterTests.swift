import FamilyKit
import QConvertKit
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// LoRA adapters that PEFT saved (Fixtures/adapters/make.py), merged into models and converted between formats. The oracle is what
/// transformers and PEFT compute with the unmerged adapter.
@Suite struct AdapterTests {
  /// Adapters with the model that each was made for.
  private static let bases = [
    "llama": "llama3-rope", "llama-second": "llama3-rope", "llama-patterns": "llama-biases", "mistral-head": "mistral-window",
    "qwen2": "qwen2", "qwen3-outer": "qwen3", "mixtral": "mixtral", "gpt2": "gpt2", "bloom": "bloom", "opt": "opt",
    "opt-projected": "opt-post-norm",
  ]
  private static let names = bases.keys.sorted()
  /// PEFT's own merged models differ from the unmerged adapters by up to 1.2e-5.
  private static let tolerance: Float = 3e-5
  /// Those whose model llama.cpp supports and that only add products.
  private static let movable = ["llama", "llama-second", "qwen2", "qwen3-outer", "mixtral", "gpt2", "bloom"]

  private let registry: Registry
  private let folder = TemporaryFolder()
  private var opening: Opening { Opening(registry) }

  init() throws { registry = try Registry(QConvert.builtIn) }

  private static func adapter(_ name: String) -> String { SharedData.fixture("adapters/" + name) }

  private func base(_ name: String) throws -> String {
    let model = AdapterTests.bases[name] ?? name
    let path = folder.file(model)
    return Files.isFolder(path) ? path : try RandomModel.copy(model, into: folder)
  }

  @discardableResult
  private func convert(
    _ input: String, _ output: String, scheme: String? = "f32", _ change: (inout ConversionRequest) -> Void = { _ in }
  ) throws -> Checkpoint {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.scheme = scheme
    change(&request)
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return try opening.open(request.output)
  }

  private func merge(_ name: String, into model: String, _ output: String) throws -> Checkpoint {
    try convert(model, output) { $0.adapters = [AdapterRequest(path: name)] }
  }

  /// The largest deviation from PEFT's logits, relative to the largest logit.
  private func deviation(_ model: Checkpoint, from name: String) throws -> Float {
    let expected = storedTensors(AdapterTests.adapter(name) + "/expected.safetensors")
    let stored = try #require(expected.first { $0.name == "tokens" }?.storage.verbatim)
    let tokens = stored.withUnsafeBytes { $0.bindMemory(to: Int32.self).map { Int($0) } }
    let logits = try #require(expected.first { $0.name == "logits" }).matrix().values
    let engine = try Engine(model, model: opening.describe(model), parallel: Parallel(threads: 2))
    var hidden = try engine.embed(tokens, sequenceLength: 12)
    for block in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: 12)
    }
    let scale = logits.reduce(0) { max($0, abs($1)) }
    return zip(engine.logits(hidden).values, logits).reduce(0) { max($0, abs($1.0 - $1.1)) } / scale
  }

  private func values(_ tensor: CheckpointTensor?) throws -> [Float] { try #require(tensor).matrix().values }

  // MARK: Merging

  @Test(arguments: names) func aMergedModelComputesWhatTheAdapterBesideItDoes(_ name: String) throws {
    let model = try base(name)
    #expect(try deviation(opening.open(model), from: name) > 0.01)
    let merged = try merge(AdapterTests.adapter(name), into: model, "merged")
    #expect(try deviation(merged, from: name) < AdapterTests.tolerance)
  }

  // A GGUF does not store Mistral's sliding window.
  @Test(arguments: names.filter { !$0.hasPrefix("opt") && $0 != "mistral-head" }) func aGGUFOfTheMergedModelComputesTheSame(_ name: String)
    throws
  {
    let merged = try merge(AdapterTests.adapter(name), into: base(name), "merged.gguf")
    #expect(try deviation(merged, from: name) < AdapterTests.tolerance)
  }

  @Test(arguments: movable) func anAdapterIsMergedIntoAGGUF(_ name: String) throws {
    let stored = try convert(base(name), "base.gguf")
    let merged = try merge(AdapterTests.adapter(name), into: stored.path, "merged.gguf")
    #expect(try deviation(merged, from: name) < AdapterTests.tolerance)
  }

  @Test func weightsAreThoseOfMergeAndUnload() throws {
    let merged = try merge(AdapterTests.adapter("bloom"), into: base("bloom"), "merged")
    let expected = storedTensors(AdapterTests.adapter("bloom") + "/expected.safetensors").filter { $0.name.hasPrefix("merged.") }
    #expect(expected.count == 4)
    for tensor in expected {
      let own = try values(merged[String(tensor.name.dropFirst("merged.".count))])
      #expect(zip(own, try values(tensor)).allSatisfy { abs($0 - $1) < 1e-6 }, "\(tensor.name)")
    }
  }

  @Test func adaptersAddUp() throws {
    let paths = ["llama", "llama-second"].map { AdapterTests.adapter($0) }
    let both = try convert(base("llama"), "both") { $0.adapters = [.init(path: paths[0]), .init(path: paths[1], factor: -0.5)] }
    let first = try merge(paths[0], into: base("llama"), "first")
    let second = try convert(first.path, "second") { $0.adapters = [.init(path: paths[1], factor: -0.5)] }
    for tensor in both.tensors { #expect(try values(tensor) == values(second[tensor.name]), "\(tensor.name)") }
    let name = "model.layers.0.mlp.down_proj.weight"
    #expect(try values(both[name]) != values(first[name]))
  }

  @Test func aFactorOfZeroChangesNothing() throws {
    let merged = try convert(base("gpt2"), "merged") { $0.adapters = [.init(path: AdapterTests.adapter("gpt2"), factor: 0)] }
    let plain = try convert(base("gpt2"), "plain")
    for tensor in plain.tensors { #expect(try values(tensor) == values(merged[tensor.name]), "\(tensor.name)") }
  }

  @Test func whatIsQuantizedIsDecodedFirst() throws {
    let rules = ["*.ffn_up.*=q8_0"]
    let quantized = try convert(base("llama"), "base.gguf") { $0.tensorRules = rules }
    let path = AdapterTests.adapter("llama")
    #expect(
      failure { try convert(quantized.path, "again.gguf") { ($0.adapters, $0.tensorRules) = ([.init(path: path)], rules) } }
        == "convert.requantize")
    let merged = try merge(path, into: quantized.path, "merged.gguf")
    let decoded = try convert(quantized.path, "decoded.gguf"), source = try merge(path, into: base("llama"), "exact.gguf")
    let plain = try convert(base("llama"), "plain.gguf")
    let name = "blk.1.ffn_up.weight"
    for (index, value) in try values(merged[name]).enumerated() {
      let change = try values(source[name])[index] - values(plain[name])[index]
      let expected = try values(decoded[name])[index] + change
      guard abs(value - expected) < 1e-5 else {
        Issue.record("\(value) is not \(expected)")
        return
      }
    }
  }

  @Test func theOutputSaysWhatWasMerged() throws {
    let merged = try convert(base("llama"), "merged.gguf") { $0.adapters = [.init(path: AdapterTests.adapter("llama"), factor: 0.5)] }
    let record = try #require(merged.metadata["qconvert.adapters"]?.stringValue)
    #expect(record.hasPrefix("llama scale 0.5 xxh3-128 ") && record.count == "llama scale 0.5 xxh3-128 ".count + 32)
  }

  @Test func aModelCardShowsWhatWasMeasured() throws {
    var request = ConversionRequest(input: try base("llama"), output: folder.file("measured"))
    request.scheme = "f32"
    request.figures = [Figure(id: "quality", title: "quality | of it"), Figure(id: "speed", title: "speed")]
    let plan = try Planner(registry).plan(request)
    _ = try Converter(registry).run(plan, progress: SilentProgress()) { _, path in
      #expect(Files.isFile(path + "/README.md"))
      return ["quality": "1.5 ± 0.1", "other": "2"]
    }
    let card = try Files.readText(request.output + "/README.md")
    #expect(card.contains("| quality / of it | 1.5 ± 0.1 ") && card.contains("| speed | " + String(repeating: " ", count: 48) + " |"))
    let sizes = try plan.layout.files.map { try MappedFile(request.output + "/" + $0.name).count }
    #expect(sizes == plan.layout.files.map { $0.size })
  }

  // MARK: Moving

  @Test(arguments: movable) func aGGUFAdapterIsTheSameAdapter(_ name: String) throws {
    let model = try base(name)
    let stored = try convert(AdapterTests.adapter(name), "adapter.gguf", scheme: nil) { $0.basePath = model }
    #expect(stored.metadata["general.type"] == .string("adapter") && stored.metadata["adapter.type"] == .string("lora"))
    #expect(stored.metadata["general.architecture"] == (try opening.describe(opening.open(model))).architecture(.gguf).map { .string($0) })
    #expect(try deviation(merge(stored.path, into: convert(model, "base.gguf").path, "merged.gguf"), from: name) < AdapterTests.tolerance)
    #expect(try deviation(merge(stored.path, into: model, "merged"), from: name) < AdapterTests.tolerance)
  }

  @Test(arguments: movable.filter { $0 != "mixtral" }) func valuesSurviveTheRoundTrip(_ name: String) throws {
    let model = try base(name)
    let stored = try convert(AdapterTests.adapter(name), "adapter.gguf", scheme: nil) { $0.basePath = model }
    let back = try convert(stored.path, "back", scheme: nil) { $0.basePath = model }
    let source = try opening.open(AdapterTests.adapter(name))
    let wanted = source.tensors.filter { $0.name.contains("lora_") }
    #expect(back.format == "peft" && Set(back.tensors.map(\.name)) == Set(wanted.map(\.name)))
    for tensor in wanted {
      #expect(back[tensor.name]?.storage.schemeName == tensor.storage.schemeName)
      #expect(try values(back[tensor.name]) == values(tensor), "\(tensor.name)")
    }
    #expect(try deviation(merge(back.path, into: model, "merged"), from: name) < AdapterTests.tolerance)
  }

  @Test func expertsComeBackWithZerosForThoseThatWereLeftAlone() throws {
    let model = try base("mixtral")
    let stored = try convert(AdapterTests.adapter("mixtral"), "adapter.gguf", scheme: nil) { $0.basePath = model }
    #expect(stored["blk.0.ffn_gate_exps.weight.lora_a"]?.shape == [4, 4, 32])
    let back = try convert(stored.path, "back", scheme: nil) { $0.basePath = model }
    #expect(try values(back["base_model.model.model.layers.0.block_sparse_moe.experts.3.w1.lora_B.weight"]).allSatisfy { $0 == 0 })
    #expect(try deviation(merge(back.path, into: model, "merged"), from: "mixtral") < AdapterTests.tolerance)
  }

  @Test func anAdapterBecomesAnotherType() throws {
    let half = try convert(AdapterTests.adapter("llama"), "half", scheme: "f16")
    let source = try opening.open(AdapterTests.adapter("llama"))
    #expect(half.tensors.allSatisfy { $0.storage.schemeName == "f16" } && half.tensors.count == source.tensors.count)
    #expect(half.adapter?.alpha == 8 && half.adapter?.ranks == [4])
    #expect(
      failure { try convert(AdapterTests.adapter("llama"), "q.gguf", scheme: "q4_0") { $0.basePath = try? base("llama") } }
        == "adapter.scheme")
  }

  // MARK: What is refused

  /// The id of the failure.
  private func failure(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch {
      return (error as? Failure)?.id
    }
  }

  /// An adapter with another value in its configuration.
  private func changed(_ name: String, _ key: String, _ value: JSON) throws -> String {
    let source = AdapterTests.adapter(name), path = folder.file("changed")
    let configuration = try JSON.load(source + "/adapter_config.json")
    let members = (configuration.objectValue ?? []).filter { $0.key != key } + [.init(key, value)]
    _ = mkdir(path, 0o777)
    writeFile(path + "/adapter_config.json", Array(JSON.object(members).text().utf8))
    writeFile(path + "/adapter_model.safetensors", readFile(source + "/adapter_model.safetensors"))
    return path
  }

  @Test(arguments: [
    ("peft_type", JSON.string("LOHA"), "adapter.kind"), ("use_dora", .bool(true), "adapter.kind"),
    ("target_parameters", .array([.string("experts.gate_up_proj")]), "adapter.kind"),
    ("init_lora_weights", .string("pissa"), "adapter.kind"),
    ("lora_bias", .bool(true), "adapter.kind"), ("alora_invocation_tokens", .array([.int(5)]), "adapter.kind"),
    ("r", .int(8), "adapter.rank"), ("r", .int(0), "adapter.config"), ("r", .string("4"), "adapter.config"),
    ("lora_alpha", .null, "adapter.config"), ("rank_pattern", .object([.init("q_proj", .int(3))]), "adapter.rank"),
    ("alpha_pattern", .object([.init("(", .int(3))]), "adapter.config"),
  ]) func aConfigurationThatCannotBeFollowedIsRefused(_ key: String, _ value: JSON, _ id: String) throws {
    let path = try changed("llama", key, value)
    #expect(failure { _ = try opening.open(path) } == id)
  }

  @Test(arguments: [
    // Names of equal length, so that nothing else in the file changes.
    ("q_proj.lora_B.weight", "q_proj.lora_Z.weight", "adapter.part"),
    ("0.self_attn.q_proj.lora_B", "0.self_attn.z_proj.lora_B", "adapter.pair"),
    ("[4,32]", "[32,4]", "adapter.shape"),
  ]) func unpairedMatricesAreRefused(_ old: String, _ new: String, _ id: String) throws {
    let path = try changed("llama", "r", .int(4))
    let file = path + "/adapter_model.safetensors"
    let bytes = readFile(file), wanted = Array(old.utf8), other = Array(new.utf8)
    let place = try #require(bytes.firstRange(of: wanted))
    writeFile(file, bytes[..<place.lowerBound] + other + bytes[place.upperBound...])
    #expect(failure { _ = try opening.open(path) } == id)
  }

  @Test func namesAreEnoughWhereNoFamilyKnowsTheModel() throws {
    let model = try base("llama"), path = AdapterTests.adapter("llama")
    let merged = try merge(path, into: model, "merged")
    let configuration = try JSON.load(model + "/config.json").objectValue ?? []
    let unknown = configuration.filter { $0.key != "architectures" } + [.init("architectures", .array([.string("UnknownForCausalLM")]))]
    writeFile(model + "/config.json", Array(JSON.object(unknown).text().utf8))
    let other = try merge(path, into: model, "other")
    for tensor in merged.tensors { #expect(try values(tensor) == values(other[tensor.name]), "\(tensor.name)") }
    // Without a family, the names of a GGUF cannot be matched.
    let stored = try convert(path, "a.gguf", scheme: nil) { $0.basePath = SharedData.fixture("engine/llama3-rope") }
    #expect(failure { _ = try merge(stored.path, into: model, "none") } == "model.architecture")
  }

  @Test func anAdapterOfAnotherModelIsRefused() throws {
    func merging(_ adapter: String, _ base: String, factor: Double = 1) -> String? {
      failure {
        let model = try self.base(base)
        try convert(model, "out-\(adapter)-\(base)") { $0.adapters = [.init(path: AdapterTests.adapter(adapter), factor: factor)] }
      }
    }
    #expect(merging("gpt2", "llama3-rope") == "adapter.no-tensor")
    // 12 channels of a head instead of 16.
    #expect(merging("llama", "qwen3") == "adapter.shape")
    #expect(merging("qwen3-outer", "llama-biases") == "adapter.no-tensor")
    #expect(merging("mistral-head", "llama-biases") == "adapter.tied")
    #expect(merging("mistral-head", "mistral-window", factor: 0.5) == "adapter.factor")
    let model = try base("llama")
    #expect(failure { try convert(model, "out") { $0.adapters = [.init(path: model)] } } == "adapter.none")
  }

  @Test func whatAnAdapterCannotBeIsRefused() throws {
    let model = try base("llama"), path = AdapterTests.adapter("llama")
    #expect(failure { try convert(path, "a.gguf", scheme: nil) } == "adapter.base")
    #expect(failure { try convert(path, "a.safetensors", scheme: nil) } == "output.content")
    #expect(failure { try convert(model, "m") { $0.toFormat = "peft" } } == "output.content")
    #expect(failure { _ = try opening.describe(opening.open(path)) } == "model.adapter")
    // A replaced tensor has no place in a GGUF adapter.
    let whole = AdapterTests.adapter("mistral-head")
    #expect(failure { try convert(whole, "w.gguf", scheme: nil) { $0.basePath = try? base("mistral-head") } } == "adapter.replacement")
    let opt = AdapterTests.adapter("opt")
    #expect(failure { try convert(opt, "o.gguf", scheme: nil) { $0.basePath = try? base("opt") } } == "gguf.architecture")
  }
}
