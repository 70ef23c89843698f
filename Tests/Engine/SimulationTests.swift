import CompressedTensors
import HuggingFace
import ModelFamilies
import QuantCore
import TestSupport
import Testing

/// A client that rounds inputs by the type of the weights, and loads a format that none of these checkpoints has.
private enum Runtime: ClientProfile {
  static let id = "runtime"
  static let summary = "Rounds inputs."
  static let reference = "this test"
  static let version: ClientVersion = "1"
  static let formats = ["gguf"]
  static let packings: [String] = []
  static let roundsInputsByType = true

  static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }
}

@Suite struct SimulationTests {
  private let tokens = (0..<48).map { ($0 * 29 + 3) % 96 }

  private func registry() throws -> Registry { try Registry([WeightPresets.self, IntegerSchemes.self, Float8Schemes.self, Runtime.self]) }

  private func model(_ name: String = "qwen2") throws -> (checkpoint: Checkpoint, engine: Engine) {
    let checkpoint = try Fixture.folder(SharedData.fixture("engine/" + name))
    return (checkpoint, try Fixture.engine(checkpoint))
  }

  /// The simulation of a request, calibrated on the tokens of these tests.
  private func simulation(_ text: String, _ name: String = "qwen2") throws -> Simulation {
    let (checkpoint, engine) = try model(name)
    return try SimulationBuilder(engine, checkpoint: checkpoint, registry: registry()).simulation(
      SimulationRequest(text, registry: registry())
    ) { [tokens] }
  }

  private func logits(_ simulation: Simulation?, _ name: String = "qwen2") throws -> Matrix {
    var engine = try model(name).engine
    engine.simulation = simulation
    return try engine.allLogits(tokens, sequenceLength: 24)
  }

  @Test func anEmptySimulationChangesNoBit() throws {
    #expect(try logits(Simulation()) == logits(nil))
  }

  @Test(arguments: ["int8-token", "fp8-token", "int8-tensor", "kv=fp8", "kv=int8", "kv=f16", "w8a8", "fp8,kv=int4"])
  func whatIsNamedIsRoundedAndNearTheExactResult(_ text: String) throws {
    let exact = try logits(nil)
    let difference = relativeDifference(try logits(simulation(text)).values, exact.values)
    #expect(difference > 1e-6)
    #expect(difference < (text.contains("fp8") || text.contains("int4") ? 0.5 : 0.1), "\(difference)")
  }

  @Test func fewerBitsLoseMore() throws {
    let exact = try logits(nil).values
    func loss(_ text: String) throws -> Float { relativeDifference(try logits(simulation(text)).values, exact) }
    #expect(try loss("int8-token") < loss("int4-token"))
    #expect(try loss("kv=int8") < loss("kv=int4"))
  }

  @Test func presetsRoundUnquantizedWeightsAndActivationSchemesDoNot() throws {
    let preset = try simulation("w8a8")
    // Seven linear layers in each of two blocks.
    #expect(preset.weights.count == 14 && preset.inputs.count == 14 && preset.caches.isEmpty)
    #expect(preset.weights.values.allSatisfy { $0.name == "int8-channel" })
    let activations = try simulation("int8-token,kv=fp8")
    #expect(activations.weights.isEmpty && activations.inputs.count == 14)
    #expect(activations.caches.count == 2 && activations.caches.values.allSatisfy { Set($0.keys) == [.keys, .values] })
  }

  /// The scale of a static scheme is that of the largest input on the calibration text.
  @Test func staticScalesCoverTheCalibrationText() throws {
    let (_, engine) = try model()
    let collector = StatisticsCollector([.range], parallel: Parallel(threads: 1))
    _ = try engine.allLogits(tokens, sequenceLength: tokens.count, observing: 0, collector)
    let statistics = try #require(collector.statistics()[.feedForwardInput])
    let largest = zip(statistics.minimum, statistics.maximum).reduce(Float(0)) { max($0, -$1.0, $1.1) }
    let found = try simulation("int8-tensor").inputs[TensorID(.gate, block: 0)] as? ActivationRounding
    let scale = try #require(found?.stored?.scale)
    #expect(abs(scale / (largest / 127.5) - 1) < 1e-6)
  }

  /// Keys and values rounded by torch within transformers (Interop/make_cache_fixtures.py).
  @Test(arguments: [
    "kv=int8-tensor", "kv=int8-tensor average:0.9", "keys=int8-channel,values=int8-token", "unrotated-keys=int4-channel-asym",
    "unrotated-keys=int8-token,values=int8-channel",
  ]) func roundedCachesGiveTheLogitsOfTransformers(_ name: String) throws {
    let tensors = try Fixture.tensors(SharedData.fixture("engine/caches.safetensors"))
    let expected = try #require(tensors.first { $0.name == name }).matrix().values
    let exact = try #require(tensors.first { $0.name == "exact" }).matrix().values
    #expect(try relativeDifference(logits(nil).values, exact) < 1e-4)
    let words = name.split(separator: " ").map { String($0) }
    let calibrator = try words.count > 1 ? #require(RangeCalibrator(named: words[1])) : .minMax
    let (checkpoint, engine) = try model()
    let builder = SimulationBuilder(engine, checkpoint: checkpoint, registry: try registry(), calibrator: calibrator)
    let simulation = try builder.simulation(SimulationRequest(words[0], registry: registry())) {
      [Array(tokens.prefix(24)), Array(tokens.suffix(24))]
    }
    let found = try logits(simulation).values
    // A value on the border between two codes may fall to the other side.
    #expect(relativeDifference(found, expected) < 0.1 * relativeDifference(expected, exact))
  }

  /// Clients that cache keys before the rotary embedding rotate what they read, also if tokens come one by one.
  @Test func generationRoundsUnrotatedKeysAsWholePassesDo() throws {
    var engine = try model().engine
    engine.simulation = try simulation("unrotated-keys=int4-channel")
    #expect(engine.simulation?.caches.values.allSatisfy { Set($0.keys) == [.unrotatedKeys] } == true)
    var generator = Generator(engine)
    let prompt = Array(tokens.prefix(20))
    let generated = try generator.generate(prompt: prompt, limit: 4, stop: [])
    for count in generated.indices {
      let sequence = prompt + generated[..<count]
      let logits = try engine.allLogits(sequence, sequenceLength: sequence.count)
      let last = Array(logits.values.suffix(logits.columns))
      #expect(last.firstIndex(of: last.max() ?? 0) == generated[count])
    }
  }

  /// Latent attention and recurrent mixers cache neither keys nor values.
  @Test(arguments: ["deepseek-v3", "mamba2"]) func modelsWithoutSuchACacheAreRefused(_ name: String) throws {
    #expect(#expect(throws: Failure.self) { try simulation("kv=int8", name) }?.id == "simulate.no-cache")
  }

  @Test func dynamicSchemesReadNoText() throws {
    let (checkpoint, engine) = try model()
    let builder = SimulationBuilder(engine, checkpoint: checkpoint, registry: try registry())
    let request = try SimulationRequest("w8a8,kv=int8", registry: registry())
    _ = try builder.simulation(request) { throw Failure(.data, "test.text", "text was asked for") }
  }

  @Test func generationRoundsItsCacheAsWholePassesDo() throws {
    var engine = try model().engine
    engine.simulation = try simulation("int8-token,kv=int8")
    var generator = Generator(engine)
    let prompt = Array(tokens.prefix(20))
    let generated = try generator.generate(prompt: prompt, limit: 4, stop: [])
    var sequence = prompt
    for token in generated {
      let logits = try engine.allLogits(sequence, sequenceLength: sequence.count)
      let last = Array(logits.values.suffix(logits.columns))
      #expect(last.firstIndex(of: last.max() ?? 0) == token)
      sequence.append(token)
    }
  }

  @Test func requestsThatSayNothingClearAreRefused() throws {
    let registry = try registry()
    func id(_ text: String) -> String {
      do { _ = try SimulationRequest(text, registry: registry) } catch { return error.id }
      return "none"
    }
    #expect(id("w8a9") == "simulate.unknown")
    #expect(id("") == "simulate.unknown")
    #expect(id("kv=q4") == "simulate.unknown")
    #expect(id("w8a8,fp8") == "simulate.twice")
    #expect(id("kv=fp8,kv=int8") == "simulate.twice")
    #expect(id("keys=int8,unrotated-keys=int8") == "simulate.twice")
    #expect(id("kv=fp8,values=int8") == "simulate.twice")
    #expect(id("keys=q4") == "simulate.unknown")
    #expect(id("kv=fp8,int8-token") == "none")
    #expect(id("values=int8,unrotated-keys=int4-channel") == "none")
    let failure = #expect(throws: Failure.self) { try simulation("runtime") }
    #expect(failure?.id == "simulate.container")
    #expect(failure?.message == "runtime does not load format 'huggingface'")
    #expect(#expect(throws: Failure.self) { try simulation("file") }?.id == "simulate.file")
  }

  /// Checkpoints of llm-compressor, run by transformers with rounding of activations enabled.
  @Test(arguments: ["ct-fp8-static", "ct-fp8-block", "ct-fp8-kv", "ct-sq-w8a8-static"])
  func recordedRoundingGivesTheLogitsOfTransformers(_ name: String) throws { try checkLogits(in: Golden.cut(name)) }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: ["ct-fp8-dynamic", "ct-sq-gptq-w8a8"])
  func recordedRoundingGivesTheLogitsOfWholeModels(_ name: String) throws { try checkLogits(in: Golden.whole(name)) }

  private func checkLogits(in path: String) throws {
    let document = try JSON.parse(ByteView(readFile(path + "/forward-check.json")), .strict)
    let checkpoint = try HuggingFaceFormat.open(path, options: OpenOptions(unpackers: [IntQuantized(), FloatQuantized()]))
    var engine = try Fixture.engine(checkpoint)
    let tokens = try #require(document["tokens"]?.arrayValue).compactMap(\.intValue)
    let exact = try engine.allLogits(tokens, sequenceLength: tokens.count)
    engine.simulation = try SimulationBuilder(engine, checkpoint: checkpoint, registry: registry()).simulation(
      SimulationRequest("file", registry: registry())
    ) { throw Failure(.data, "test.text", "text was asked for") }
    let rounded = try engine.allLogits(tokens, sequenceLength: tokens.count)
    var (near, far): (Float, Float) = (0, 0)
    for check in try #require(document["checks"]?.arrayValue) {
      let position = try #require(check["position"]?.intValue)
      let golden = try #require(check["logits_0_to_16"]?.arrayValue).compactMap { $0.doubleValue.map { Float($0) } }
      func difference(_ logits: Matrix) -> Float {
        golden.indices.reduce(0) { max($0, abs(logits[position, $1] - golden[$1])) }
      }
      // The first token attends only to itself: no sum has a different order yet.
      if position == 0 {
        #expect(difference(rounded) < 1e-5)
        #expect(difference(exact) > 1e-2)
      }
      near += difference(rounded)
      far += difference(exact)
    }
    // Later, a different order of summation moves some values across the border between two codes.
    #expect(near < far * 0.8, "\(near) against \(far)")
  }
}
