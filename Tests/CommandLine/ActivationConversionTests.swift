import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Conversions that determine how inputs and caches are rounded.
@Suite struct ActivationConversionTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func request(_ output: String, _ change: (inout ConversionRequest) -> Void) -> ConversionRequest {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.calibration.samples = 4
    request.calibration.context = 64
    request.threads = 2
    change(&request)
    return request
  }

  private func convert(_ output: String, _ change: (inout ConversionRequest) -> Void) throws -> Checkpoint {
    let plan = try Planner(registry).plan(request(output, change))
    let report = try Converter(registry).run(plan, progress: SilentProgress())
    #expect(report.totalSize == plan.totalSize && report.tensors.map(\.name) == plan.tensors.map(\.name))
    return try Opening(registry).open(folder.file(output))
  }

  /// Statistics of one block on the calibration text, collected by running the engine directly.
  private func observed(_ checkpoint: Checkpoint, block: Int, _ wanted: Set<Statistic>) throws -> [Site: SiteStatistics] {
    let opening = Opening(registry)
    let description = try opening.describe(checkpoint)
    let windows = try CalibrationWindows(
      text: DefaultCalibration.text, origin: "", tokenizer: opening.tokenizer(for: checkpoint), request: request("") { _ in }.calibration)
    let engine = try Engine(checkpoint, model: description, parallel: Parallel(threads: 2))
    var hidden = try engine.embed(windows.windows.flatMap { $0 }, sequenceLength: windows.context)
    let collector = StatisticsCollector(wanted, parallel: engine.parallel)
    collector.windowLength = windows.context
    for index in 0...block {
      engine.runBlock(
        engine.loadBlock(index), hidden: &hidden, sequenceLength: windows.context, observer: index == block ? collector : nil)
    }
    return collector.statistics()
  }

  private func largest(_ statistics: SiteStatistics?) -> Float {
    statistics.map { max(-($0.minimum.min() ?? 0), $0.maximum.max() ?? 0) } ?? .nan
  }

  @Test func storedScalesAreThoseOfWhatWasObserved() throws {
    let made = try convert("fp8-static") {
      $0.scheme = "fp8-static"
      $0.keyValueCache = "fp8"
    }
    #expect(made.activations.inputs.count == 56 && made.activations.caches.count == 8)
    let seen = try observed(Opening(registry).open(model), block: 2, [.range])
    func scale(_ site: Site) -> Float {
      ActivationScheme.fp8Static.parameters(minimum: 0, maximum: largest(seen[site]), in: .bf16).scale
    }
    let block = "model.layers.2."
    for (name, site) in [
      ("self_attn.q_proj", Site.attentionInput), ("self_attn.k_proj", .attentionInput), ("self_attn.v_proj", .attentionInput),
      ("self_attn.o_proj", .attentionOutput), ("mlp.gate_proj", .feedForwardInput), ("mlp.up_proj", .feedForwardInput),
      ("mlp.down_proj", .feedForwardOutput),
    ] {
      #expect(made.activations.inputs[block + name] == .init(.fp8Static, scale: scale(site)), "\(name)")
    }
    #expect(made.activations.caches[2] == .init(keys: scale(.keys), values: scale(.values)))
  }

  /// Ranges of a cache are found like those of inputs; the default is that of the type.
  @Test(arguments: [
    ("fp8", nil), ("fp8", "entropy"), ("int8-tensor", nil), ("int8-tensor", "percentile:99.9"), ("int4-tensor", "average:0.9"),
  ])
  func theCalibratorFindsTheScalesOfACache(_ cache: String, _ name: String?) throws {
    let calibrator = name.flatMap { RangeCalibrator(named: $0) }
    let made = try convert("cache") {
      ($0.scheme, $0.keyValueCache, $0.calibrator) = (cache == "fp8" ? "fp8" : "w8a8", cache, calibrator)
    }
    let scheme = cache == "fp8" ? .fp8Static : try #require(ActivationScheme(named: cache))
    let chosen = calibrator ?? (cache == "fp8" ? .minMax : .meanSquaredError)
    let seen = try observed(Opening(registry).open(model), block: 2, chosen.requirements(for: scheme))
    func scale(_ site: Site) throws -> Float {
      let range = try #require(seen[site].flatMap { chosen.range(of: $0, for: scheme) })
      return scheme.parameters(minimum: range.minimum, maximum: range.maximum, in: .bf16).scale
    }
    #expect(try made.activations.caches[2] == .init(keys: scale(.keys), values: scale(.values), scheme: scheme))
    #expect(made.activations.caches.count == 8)
    let configuration = try JSON.load(folder.file("cache/config.json"))["quantization_config"]?["kv_cache_scheme"]
    #expect(configuration?["num_bits"]?.intValue == scheme.element.bits && configuration?["strategy"]?.stringValue == "tensor")
    #expect(configuration?["type"]?.stringValue == (cache == "fp8" ? "float" : "int") && configuration?["dynamic"] == .bool(false))
  }

  @Test func aCacheOfIntegersIsRefusedForClientsThatDoNotLoadIt() throws {
    func id(_ cache: String, _ change: (inout ConversionRequest) -> Void) -> String {
      do {
        _ = try Planner(registry).plan(
          request("x") {
            ($0.scheme, $0.keyValueCache) = ("w8a8", cache)
            change(&$0)
          })
      } catch {
        return (error as? Failure)?.id ?? ""
      }
      return "none"
    }
    #expect(id("int8-tensor") { $0.client = "vllm" } == "client.refuses")
    #expect(id("fp8") { $0.client = "vllm" } == "none")
    #expect(id("int8-tensor") { $0.client = "transformers" } == "none")
    // Other packings have places for the scales of an FP8 cache alone.
    for packing in ["modelopt-fp8", "fp8"] {
      #expect(id("int8-tensor") { ($0.scheme, $0.packing) = ("fp8-static", packing) } == "cache.no-place")
    }
  }

  @Test func scalesOfACacheAreStoredWhereModelOptPutsThem() throws {
    let made = try convert("modelopt") { ($0.scheme, $0.packing, $0.keyValueCache) = ("fp8-static", "modelopt-fp8", "fp8") }
    #expect(made.packing == "modelopt-fp8" && made.activations.caches.count == 8)
    let stored = storedTensors(folder.file("modelopt/model.safetensors"))
    for name in ["k_proj.k_scale", "v_proj.v_scale"] {
      let scale = try #require(stored.first { $0.name == "model.layers.2.self_attn." + name })
      #expect(scale.shape == [] && scale.storage.schemeName == "f32")
    }
    // What ModelOpt's export_hf_checkpoint writes for an FP8 cache.
    let configuration = try JSON.load(folder.file("modelopt/config.json"))["quantization_config"]
    #expect(configuration?["kv_cache_scheme"]?.text() == #"{"dynamic":false,"num_bits":8,"type":"float"}"#)
    let file = try JSON.load(folder.file("modelopt/hf_quant_config.json"))
    #expect(file["quantization"]?["kv_cache_quant_algo"] == .string("FP8"))
    let plain = try convert("plain") { ($0.scheme, $0.packing, $0.keyValueCache) = ("fp8-static", "fp8", "fp8") }
    #expect(made.activations.caches == plain.activations.caches)
  }

  @Test func weightsAreThoseOfTheSameSchemeWithoutCalibration() throws {
    let bytes = try convert("static") { $0.scheme = "w8a8-static" }
    let plain = try convert("dynamic") { $0.scheme = "w8a8" }
    #expect(plain.activations.inputs["model.layers.7.mlp.up_proj"] == .init(.int8Token))
    #expect(bytes.tensors.map(\.name) == plain.tensors.map(\.name))
    for (a, b) in zip(bytes.tensors, plain.tensors) { #expect(a.matrix().values == b.matrix().values, "\(a.name)") }
  }

  @Test func histogramsAreObservedAgainAfterATransform() throws {
    let smoothed = try convert("smooth") {
      $0.methods = [(id: "smoothquant", options: [:])]
      $0.scheme = "f32"
    }
    let made = try convert("smooth-static") {
      $0.methods = [(id: "smoothquant", options: [:])]
      $0.scheme = "w8a8-static"
    }
    let seen = try observed(smoothed, block: 1, [.range, .histogram])
    for (name, site) in [("self_attn.q_proj", Site.attentionInput), ("mlp.down_proj", .feedForwardOutput)] {
      let range = try #require(seen[site].flatMap { RangeCalibrator.meanSquaredError.range(of: $0, for: .int8Static) })
      let expected = ActivationScheme.int8Static.parameters(minimum: range.minimum, maximum: range.maximum, in: .bf16).scale
      let stored = try #require(made.activations.inputs["model.layers.1." + name]?.scale)
      // Not exact: the smoothed folder was written in 32 bits and read again.
      #expect(abs(stored / expected - 1) < 0.01, "\(name): \(stored), \(expected)")
    }
  }

  @Test func theBytesDoNotDependOnTheNumberOfThreads() throws {
    for calibrator in [RangeCalibrator.entropy, .percentile(99.9), .average(0.9)] {
      for threads in [1, 3] {
        _ = try convert("\(threads)") {
          $0.scheme = "w8a8-static"
          $0.calibrator = calibrator
          $0.threads = threads
          $0.force = true
        }
      }
      let files = [1, 3].map { readFile(folder.file("\($0)/model.safetensors")) }
      let isEqual = files[0] == files[1] && !files[0].isEmpty
      #expect(isEqual, "\(calibrator.name)")
    }
  }

  @Test func whatIsAskedForOverridesThePreset() throws {
    func inputs(_ change: (inout ConversionRequest) -> Void) throws -> [String: String] {
      let plan = try Planner(registry).plan(request("x", change))
      return Dictionary(uniqueKeysWithValues: plan.tensors.map { ($0.name, $0.activations?.name ?? "") })
    }
    let down = "model.layers.0.mlp.down_proj.weight"
    let given = try inputs {
      $0.scheme = "fp8"
      $0.activations = "fp8-tensor-dynamic"
      $0.tensorRules = ["*layers.0.mlp.down_proj*=bf16"]
    }
    #expect(given[down] == "" && given["model.layers.1.mlp.down_proj.weight"] == "fp8-tensor-dynamic" && given["lm_head.weight"] == "")
    let none = try inputs {
      $0.scheme = "fp8"
      $0.activations = "none"
    }
    #expect(none.values.allSatisfy { $0.isEmpty })
    let ruled = try inputs {
      $0.scheme = "w8a8"
      $0.tensorRules = ["*down_proj*=int4-g128"]
    }
    #expect(ruled[down] == "int8-token")
  }

  @Test(arguments: [
    ("x", "w8a8", "int8-banana", "none", "activations.unknown"), ("x", "w8a8", "none", "int8", "cache.unknown"),
    ("x", "w8a8", "fp8-token", "none", "packing.none"), ("x.gguf", "q8_0", "int8-token", "none", "packing.none"),
    ("x.gguf", "q8_0", "none", "fp8", "cache.no-place"), ("x", "w8a8", "int8-channel", "none", "packing.none"),
    ("x", "w8a8", "none", "int8-channel", "cache.no-place"), ("x", "w8a8", "none", "int8-token", "cache.no-place"),
    ("x", "int8-channel", "int8-g100", "none", "activations.row-length"),
  ])
  func whatNoReaderComputesIsRefusedInThePlan(_ output: String, _ scheme: String, _ inputs: String, _ cache: String, _ id: String) {
    let failure = #expect(throws: Failure.self) {
      try Planner(registry).plan(
        request(output) {
          $0.scheme = scheme
          $0.activations = inputs
          $0.keyValueCache = cache
        })
    }
    #expect(failure?.id == id)
  }

  @Test func storedScalesNeedAFamily() throws {
    // Two layers of an architecture that no family describes.
    let source = folder.file("unknown")
    _ = try convert("copy") { $0.scheme = "bf16" }
    let config = String(decoding: readFile(folder.file("copy/config.json")), as: UTF8.self)
    let changed = config.split(separator: "LlamaForCausalLM").joined(separator: "NobodysForCausalLM")
    writeFile(folder.file("copy/config.json"), Array(changed.utf8))
    for (scheme, id) in [("fp8", nil), ("fp8-static", "model.architecture")] {
      var request = ConversionRequest(input: folder.file("copy"), output: source)
      request.scheme = scheme
      let made = Result { try Planner(registry).plan(request) }
      if let id {
        #expect(throws: Failure.self) { try made.get() }
        if case .failure(let error as Failure) = made { #expect(error.id == id) }
      } else {
        #expect(throws: Never.self) { try made.get() }
      }
    }
  }

  @Test func aSchemeTypedAsAMethodIsAnsweredWithScheme() {
    for name in ["fp8", "w8a8", "q4_k_m", "int4-g128"] {
      let failure = #expect(throws: Failure.self) { try registry.method(name) }
      #expect(failure?.id == "plugin.scheme" && failure?.remedy?.description.contains("'scheme' \(name)") == true)
    }
  }

  @Test func zeroQuantNeedsNoScheme() throws {
    let plan = try Planner(registry).plan(request("zero") { $0.methods = [(id: "zeroquant", options: [:])] })
    let schemes = Dictionary(uniqueKeysWithValues: plan.tensors.map { ($0.name, $0.scheme.name) })
    #expect(schemes["model.layers.0.self_attn.q_proj.weight"] == "int8-channel")
    #expect(schemes["model.layers.0.mlp.up_proj.weight"] == "int4-g128" && plan.calibration == nil)
  }
}
