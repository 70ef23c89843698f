import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Methods that correct what rounding lost, with an adapter that is a part of the output.
@Suite struct CorrectionTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()
  private var opening: Opening { Opening(registry) }

  init() throws { registry = try Registry(QConvert.builtIn) }

  private static func methods(_ chain: [String]) -> [(id: String, options: [String: String])] {
    chain.map { text in
      let words = text.split(separator: ":").map(String.init)
      let options = words.dropFirst().flatMap { $0.split(separator: ",") }.map { $0.split(separator: "=").map(String.init) }
      return (id: words[0], options: Dictionary(uniqueKeysWithValues: options.map { ($0[0], $0[1]) }))
    }
  }

  private func converted(_ output: String, _ scheme: String, _ chain: [String]) throws -> String {
    try convert(model, output) {
      $0.scheme = scheme
      $0.methods = CorrectionTests.methods(chain)
      $0.calibration.samples = 8
      $0.calibration.context = 128
    }
  }

  private func refusal(_ output: String, _ scheme: String, _ chain: [String]) -> Failure? {
    failure(model, output) {
      $0.scheme = scheme
      $0.methods = CorrectionTests.methods(chain)
    }
  }

  private func matrix(_ checkpoint: Checkpoint, _ name: String) throws -> Matrix { try #require(checkpoint[name]).matrix() }

  /// Mean KL divergence from the model on a text that no method has seen.
  private func divergence(_ output: String, _ adapter: String? = nil) throws -> Double {
    func engine(_ checkpoint: Checkpoint) throws -> Engine {
      try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
    }
    let source = try opening.open(model)
    let text = String(decoding: readFile(SharedData.fixture("text/evaluation.txt")).prefix(6000), as: UTF8.self)
    let result = try Evaluation.run(
      engine(opening.open(output).merging(adapter.map { [AdapterRequest(path: $0)] } ?? [], opening)),
      tokens: opening.tokenizer(for: source).encode(text), options: EvaluationOptions(context: 256, windows: 4), reference: engine(source))
    return try #require(result.comparison?.divergence.value)
  }

  @Test func theFolderHoldsThePlainOutputAndItsAdapter() throws {
    let plain = try converted("plain", "int4-channel", []), corrected = try converted("corrected", "int4-channel", ["rtn", "lorc:rank=4"])
    #expect(readFile(plain + "/config.json") == readFile(corrected + "/config.json"))
    let (source, base, adapter) = (try opening.open(model), try opening.open(corrected), try opening.open(corrected + "/adapter"))
    #expect(try #require(adapter.adapter).ranks == [4] && adapter.tensors.count == 2 * base.tensors.count { $0.storage.codes != nil })
    for name in ["self_attn.q_proj", "mlp.down_proj"].map({ "model.layers.0.\($0)" }) {
      let weights = try matrix(source, name + ".weight"), rounded = try matrix(base, name + ".weight")
      #expect(rounded == (try matrix(opening.open(plain), name + ".weight")))
      let a = try matrix(adapter, "base_model.model.\(name).lora_A.weight"),
        b = try matrix(adapter, "base_model.model.\(name).lora_B.weight")
      let product = Matrix.multiply(b, a, parallel: Parallel(threads: 1))
      var (before, after) = (0.0, 0.0)
      for index in weights.values.indices {
        let error = Double(weights.values[index] - rounded.values[index])
        before += error * error
        after += (error - Double(product.values[index])) * (error - Double(product.values[index]))
      }
      // A share of the squares of the error that the largest singular values have.
      #expect(after < 0.97 * before && after > 0)
    }
    let configuration = try JSON.load(corrected + "/adapter/adapter_config.json")
    #expect(configuration["r"]?.intValue == 4 && configuration["lora_alpha"]?.intValue == 4)
    #expect(configuration["target_modules"]?.arrayValue?.contains { $0.stringValue == "model.layers.0.mlp.down_proj" } == true)
    #expect(configuration["base_model_name_or_path"]?.stringValue == "corrected")
  }

  @Test func everyCorrectionLowersTheDivergence() throws {
    let plain = try divergence(converted("plain", "int3-channel", []))
    var corrected: [String: Double] = [:]
    for method in ["lorc", "lqer", "eora"] {
      let output = try converted(method, "int3-channel", ["rtn", method + ":rank=8"])
      corrected[method] = try divergence(output, output + "/adapter")
      #expect(try #require(corrected[method]) < 0.9 * plain, "\(method)")
    }
    #expect(try #require(corrected["eora"]) < 0.5 * #require(corrected["lorc"]))
  }

  /// The squares of the error that a folder with its adapter leaves of a matrix.
  private func squares(_ output: String, _ name: String) throws -> Double {
    let weights = try matrix(opening.open(model), name)
    let found = try matrix(opening.open(output).merging([AdapterRequest(path: output + "/adapter")], opening), name)
    return zip(weights.values, found.values).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
  }

  @Test func codesAndCorrectionInTurnsAreNearerToTheWeights() throws {
    let after = try converted("after", "nf4", ["lorc:rank=16"]), turns = try converted("turns", "nf4", ["lq-lora:rank=16"])
    for name in ["self_attn.q_proj", "mlp.up_proj", "mlp.down_proj"].map({ "model.layers.0.\($0).weight" }) {
      #expect(try squares(turns, name) < 0.99 * squares(after, name))
    }
    #expect(try JSON.load(turns + "/config.json")["quantization_config"]?["bnb_4bit_quant_type"]?.stringValue == "nf4")
    #expect(try opening.open(turns + "/adapter").adapter?.ranks == [16])
  }

  @Test func aFileHasItsAdapterBeside() throws {
    let plain = try converted("plain.gguf", "q4_0", []), corrected = try converted("corrected.gguf", "q4_0", ["lorc"])
    let wide = try converted("wide.gguf", "q4_0", ["lorc:rank=32,bits=8"])
    let adapter = try opening.open(folder.file("corrected.lora.gguf"))
    #expect(adapter.metadata["general.type"]?.stringValue == "adapter" && adapter.metadata["adapter.type"]?.stringValue == "lora")
    #expect(adapter.metadata["adapter.lora.alpha"]?.doubleValue == 8 && adapter.tensors.allSatisfy { $0.storage.schemeName == "f16" })
    let eight = try opening.open(folder.file("wide.lora.gguf"))
    #expect(eight.adapter?.ranks == [32] && eight.tensors.allSatisfy { $0.storage.schemeName == "q8_0" })
    let before = try divergence(plain), after = try divergence(corrected, adapter.path)
    #expect(after < 0.97 * before)
    #expect(try divergence(wide, eight.path) < after)
  }

  /// The rows of queries are in another order in a GGUF, and so are those of the correction.
  @Test func bothFormatsCorrectTheSame() throws {
    let file = try converted("m.gguf", "q4_0", ["lorc"])
    let moved = try convert(folder.file("m.lora.gguf"), "moved") { $0.basePath = model }
    let weights = try matrix(opening.open(model), "model.layers.0.self_attn.q_proj.weight")
    let merged = try opening.open(model).merging([AdapterRequest(path: moved)], opening)
    let rounded = try opening.open(convert(file, "rounded") { $0.scheme = "f32" })
    let corrected = try rounded.merging([AdapterRequest(path: moved)], opening)
    func distance(_ a: Matrix, _ b: Matrix) -> Double {
      zip(a.values, b.values).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    }
    let name = "model.layers.0.self_attn.q_proj.weight"
    #expect(try distance(matrix(corrected, name), weights) < 0.97 * distance(matrix(rounded, name), weights))
    #expect(try distance(matrix(merged, name), weights) > 0)
  }

  @Test func laterBlocksSeeCorrectedOutputs() throws {
    let alone = try converted("alone", "int3-channel", ["gptq"]), with = try converted("with", "int3-channel", ["gptq", "lorc"])
    func codes(_ path: String, _ block: Int) throws -> [Float] {
      try matrix(opening.open(path), "model.layers.\(block).self_attn.q_proj.weight").values
    }
    #expect(try codes(alone, 0) == codes(with, 0))
    #expect(try codes(alone, 1) != codes(with, 1))
    #expect(try divergence(with, with + "/adapter") < divergence(alone))
  }

  @Test func aPlanKnowsTheAdapter() throws {
    let plain = try plan(model, "m.gguf") { $0.scheme = "q4_0" }
    let corrected = try plan(model, "m.gguf") {
      $0.scheme = "q4_0"
      $0.methods = CorrectionTests.methods(["lorc"])
    }
    #expect(corrected.layout.files.map(\.name) == ["m.gguf", "m.lora.gguf"] && corrected.mainOutput == plain.mainOutput)
    let added = corrected.layout.files[1].size
    #expect(corrected.totalSize > plain.totalSize + added - 64 && corrected.bitsPerWeight > plain.bitsPerWeight)
    try Converter(registry).run(corrected, progress: SilentProgress())
    #expect(readFile(folder.file("m.lora.gguf")).count == added)
  }

  @Test func whatCannotBeCorrectedIsRefused() throws {
    #expect(refusal("a.gguf", "f16", ["lorc"])?.id == "method.unused")
    #expect(refusal("out", "bf16", ["rtn", "eora"])?.id == "method.unused")
    #expect(refusal("out", "w4a16", ["lorc", "eora"])?.id == "method.overruled")
    #expect(refusal("out", "w4a16", ["lorc:bits=8"])?.id == "adapter.bits")
  }

  /// PEFT knows no single experts of classes that hold them in one tensor.
  @Test func stackedExpertsAreCorrectedInAFile() throws {
    let mixtral = try RandomModel.copy("mixtral", into: folder)
    let plan = try plan(mixtral, "m.gguf") {
      $0.scheme = "q8_0"
      $0.methods = CorrectionTests.methods(["lorc:rank=2"])
    }
    try Converter(registry).run(plan, progress: SilentProgress())
    let adapter = try opening.open(folder.file("m.lora.gguf"))
    let stack = try #require(adapter.tensors.first { $0.name == "blk.0.ffn_up_exps.weight.lora_a" })
    #expect(stack.shape.count == 3 && stack.shape[1] == 2)
    let output = try opening.open(folder.file("m.gguf"))
    let merged = try output.merging([AdapterRequest(path: adapter.path)], opening)
    let source = try opening.open(mixtral), model = try opening.describe(source)
    for tensor in model.tensors where tensor.id.expert == 1 && tensor.id.block == 0 {
      let place = try #require(tensor.place(.init(rawValue: "gguf"))), own = try #require(tensor.place(source.naming))
      guard adapter.tensors.contains(where: { $0.name == place.name + ".lora_a" }) else { continue }
      func values(_ checkpoint: Checkpoint, _ place: TensorPlace) throws -> [Float] {
        try PlacedTensor(#require(checkpoint[place.name]), at: place, shape: tensor.shape, file: "").matrix(parallel: Parallel(threads: 1))
          .values
      }
      let weights = try values(source, own)
      func distance(_ checkpoint: Checkpoint) throws -> Float {
        try zip(values(checkpoint, place), weights).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      }
      #expect(try distance(merged) < distance(output))
    }
    let single = try self.plan(mixtral, "out") {
      $0.scheme = "int8-channel"
      $0.methods = CorrectionTests.methods(["lorc"])
    }
    #expect(single.warnings.contains { $0.contains("are not corrected") })
    #expect(single.tensors.filter { $0.correction != nil }.allSatisfy { !$0.name.contains("experts") })
  }

  @Test(arguments: ["out", "m.gguf"]) func aRunThatIsResumedGivesTheSameBytes(_ name: String) throws {
    struct Stopped: Error {}
    func files(_ name: String) -> [[UInt8]] {
      let path = folder.file(name)
      let all =
        name == "out"
        ? ["model.safetensors", "adapter/adapter_model.safetensors"].map { path + "/" + $0 } : [path, folder.file("m.lora.gguf")]
      return all.map { readFile($0) }
    }
    func plan(resumes: Bool) throws -> ConversionPlan {
      try self.plan(model, name) {
        $0.scheme = name == "out" ? "int4-channel" : "q4_0"
        $0.methods = CorrectionTests.methods(["gptq", "eora:rank=4"])
        $0.resumes = resumes
        $0.force = !resumes
      }
    }
    #expect(throws: Stopped.self) {
      try Converter(registry).run(plan(resumes: true), progress: SilentProgress()) { _, _ in throw Stopped() }
    }
    #expect(!Files.exists(folder.file(name)) && !Files.exists(folder.file("m.lora.gguf")))
    try Converter(registry).run(plan(resumes: true), progress: SilentProgress())
    let resumed = files(name)
    // Also replaces an output with an adapter.
    try Converter(registry).run(plan(resumes: false), progress: SilentProgress())
    #expect(files(name) == resumed && resumed.allSatisfy { !$0.isEmpty })
  }

  /// It may have been trained there.
  @Test func anAdapterIsReplacedOnlyByAnother() throws {
    let output = try converted("out", "int4-channel", ["lorc"])
    let failure = #expect(throws: Failure.self) {
      try convert(model, "out") {
        $0.scheme = "int4-channel"
        $0.force = true
      }
    }
    #expect(failure?.id == "output.not-flat" && Files.exists(output + "/adapter/adapter_config.json"))
  }

  @Test func anAdapterThatDoesNotFitIsNotMerged() throws {
    let other = try opening.open(RandomModel.copy("qwen3", into: folder))
    _ = try converted("m.gguf", "q4_0", ["lorc"])
    #expect(throws: Failure.self) { try other.merging([AdapterRequest(path: folder.file("m.lora.gguf"))], opening) }
  }
}
