import QuantCore
import TestSupport
import Testing

/// Random models of every family, against transformers in float32 (Interop/make_engine_fixtures.py).
@Suite struct FamilyTests {
  /// Models with RMS norms, rotary embedding and one gated feed-forward network per block.
  static let llamaLike = ["llama3-rope", "llama-biases", "mistral-window", "qwen2", "qwen3"]
  static let qwenMixtures = ["qwen2-moe", "qwen2-moe-dense", "qwen3-moe", "qwen3-moe-dense"]
  static let withPlaceInGGUF = [
    "granite", "olmo2", "olmo", "nemotron", "arcee", "mpt", "minicpm", "phi3-long", "ministral3", "minicpm3", "olmo3", "smollm3",
    "seed-oss", "exaone4",
    "ernie4.5",
    "hunyuan", "gemma", "gemma2", "olmoe", "cohere", "cohere2",
  ]
  static let names =
    llamaLike + qwenMixtures + withPlaceInGGUF
    + [
      "mixtral", "opt", "opt-post-norm", "opt-gelu", "gpt2", "bloom", "bloom-residual", "gemma3", "gemma3-cap",
      "deepseek-v3", "deepseek-v3-yarn", "gpt-oss", "granite-moe", "exaone4-window", "glm4-moe", "ministral", "apertus",
    ] + withFusedOrParallelParts + withRecurrentParts + routed + withEmbeddingsOfBlocksOrSums
  /// Models whose blocks get more of a token than hidden states, or several of these, or have experts beside a feed-forward network.
  static let withEmbeddingsOfBlocksOrSums = ["gemma3n", "gemma3n-lanes", "gemma4", "gemma4-moe"]
  /// Models in which some blocks mix tokens without an attention.
  static let withRecurrentParts = [
    "lfm2", "granite-hybrid", "falcon-h1", "bamba", "mamba2", "falcon-mamba", "jamba", "qwen3-next", "kimi-linear", "minimax-01",
  ]
  /// Mixtures whose routers are more than a softmax, most of them beside a shared expert.
  static let routed = [
    "deepseek-v2", "ernie4.5-moe", "hunyuan-moe", "dots1", "phi-moe", "llama4", "llama4-chunks", "minimax-m2", "hy-v3", "exaone-moe",
    "afmoe", "cohere2-moe", "mistral4", "deepseek-v32", "glm-dsa", "mimo-v2", "laguna", "laguna-channels", "dbrx",
  ]
  /// Models with fused matrices, rotated parts of heads, or branches that read the same hidden states.
  static let withFusedOrParallelParts = [
    "phi3", "glm4", "glm", "phi2", "gpt-neox", "gpt-neox-sequential", "starcoder2", "stablelm", "stablelm-parallel", "falcon", "falcon-new",
    "gpt-bigcode",
  ]

  @Test(arguments: names) func logitsAreThoseOfTransformers(_ name: String) throws {
    let folder = SharedData.fixture("engine/" + name)
    let expected = try Fixture.tensors(folder + "/expected.safetensors")
    let tokens = try Fixture.integers(expected.first { $0.name == "tokens" })
    let logits = try #require(expected.first { $0.name == "logits" })
    let result = try Fixture.engine(try Fixture.folder(folder)).allLogits(tokens, sequenceLength: 40)
    #expect(result.rows == 80 && result.columns == 96)
    #expect(relativeDifference(result.values, logits.matrix().values) < 1e-5)
  }

  @Test(arguments: names) func sitesSeeWhatLinearLayersGet(_ name: String) throws {
    let folder = SharedData.fixture("engine/" + name)
    let expected = try Fixture.tensors(folder + "/expected.safetensors")
    let tokens = try Fixture.integers(expected.first { $0.name == "tokens" })
    let engine = try Fixture.engine(try Fixture.folder(folder))
    let graph = try #require(engine.model.graph(1))
    let collector = StatisticsCollector([.meanAbsolute, .range, .gram], at: Set(graph.sites), parallel: Parallel(threads: 2))
    _ = try engine.allLogits(tokens, sequenceLength: 40, observing: 1, collector)
    let statistics = collector.statistics()
    #expect(Set(statistics.keys.map(\.name)) == Set(expected.map(\.name)).subtracting(["tokens", "logits"]))
    let experts = Set(graph.linears.compactMap(\.layer.expert))
    if !experts.isEmpty { #expect(experts.reduce(0) { $0 + (statistics[.expertInput($1)]?.tokens ?? 0) } == 2 * 80) }
    for (site, found) in statistics {
      let mean = try #require(expected.first { $0.name == site.name }).matrix().values
      #expect(found.tokens == 80 || graph.isOfExpert(site))
      #expect(relativeDifference(found.meanAbsolute, mean) < 1e-5, "\(site.name)")
      for c in 0..<found.channels {
        #expect(found.minimum[c] <= found.maximum[c])
        #expect(found.gram[c * found.channels + c] >= max(found.minimum[c] * found.minimum[c], found.maximum[c] * found.maximum[c]) * 0.999)
      }
    }
  }

  @Test(arguments: names) func threadsChangeNoBit(_ name: String) throws {
    let checkpoint = try Fixture.folder(SharedData.fixture("engine/" + name))
    let tokens = (0..<96).map { ($0 * 37 + 5) % 96 }
    let results = try (1...3).map { threads in
      let collector = StatisticsCollector([.meanAbsolute, .range, .gram], parallel: Parallel(threads: threads))
      let logits = try Fixture.engine(checkpoint, threads: threads).allLogits(tokens, sequenceLength: 32, observing: 0, collector)
      return (logits, collector.statistics())
    }
    #expect(results[0] == results[1])
    #expect(results[0] == results[2])
  }

  @Test(
    arguments: llamaLike + withPlaceInGGUF + ["mixtral", "qwen2-moe", "qwen3-moe", "gpt2", "bloom", "gemma3", "deepseek-v3", "apertus"]
      + ["deepseek-v32", "glm-dsa", "laguna-channels"]
      + withFusedOrParallelParts)
  func ggufOfTheSameWeightsGivesTheSameBits(_ name: String) throws {
    let source = try Fixture.folder(SharedData.fixture("engine/" + name))
    let stored = try GGUFTwin.of(source)
    let model = try Fixture.describe(stored)
    #expect(model.family == (["mistral-window", "mixtral"].contains(name) ? "llama" : try Fixture.describe(source).family))
    let tokens = (0..<40).map { ($0 * 29 + 3) % 96 }
    let expected = try Fixture.engine(source).allLogits(tokens, sequenceLength: 40)
    #expect(try Fixture.engine(stored).allLogits(tokens, sequenceLength: 40) == expected)
  }

  @Test(arguments: names) func cachedGenerationEqualsFullPasses(_ name: String) throws {
    let engine = try Fixture.engine(try Fixture.folder(SharedData.fixture("engine/" + name)))
    let prompt = [5, 17, 90, 33, 2, 41]
    var generator = Generator(engine)
    let generated = try generator.generate(prompt: prompt, limit: 24, stop: [])
    var tokens = prompt
    for _ in 0..<24 {
      let logits = try engine.allLogits(tokens, sequenceLength: tokens.count)
      let last = Array(logits.values.suffix(96))
      tokens.append(try #require(last.firstIndex(of: last.max() ?? 0)))
    }
    #expect(generated == Array(tokens.dropFirst(prompt.count)))
    let stop = generated[3]
    #expect(try generator.generate(prompt: prompt, limit: 24, stop: [stop]) == Array(generated.prefix { $0 != stop }))
  }

  @Test(arguments: [
    "qwen3", "mixtral", "bloom", "opt", "gemma3", "gemma3n", "gemma4", "gemma4-moe", "deepseek-v3", "phi2", "falcon-new", "lfm2", "mamba2",
    "jamba",
    "qwen3-next", "deepseek-v32", "kimi-linear",
  ])
  func aRowDoesNotDependOnItsBatch(_ name: String) throws {
    let engine = try Fixture.engine(try Fixture.folder(SharedData.fixture("engine/" + name)))
    let tokens = (0..<96).map { ($0 * 31 + 7) % 96 }
    let together = try engine.allLogits(tokens, sequenceLength: 48)
    let alone = try engine.allLogits(Array(tokens[48...]), sequenceLength: 48)
    #expect(Array(together.values[(48 * 96)...]) == alone.values)
    let prefix = try engine.allLogits(Array(tokens[..<11]), sequenceLength: 11)
    #expect(Array(together.values[..<(11 * 96)]) == prefix.values)
  }

  @Test(arguments: names) func scalesFoldedIntoEveryProducerChangeNothing(_ name: String) throws {
    let engine = try Fixture.engine(try Fixture.folder(SharedData.fixture("engine/" + name)))
    let tokens = (0..<40).map { ($0 * 29 + 3) % 96 }
    var hidden = try engine.embed(tokens, sequenceLength: 40)
    for index in 0..<engine.model.blocks.count {
      var block = engine.loadBlock(index)
      let original = block
      for fold in block.graph.folds {
        let widths: [Int] = block.graph.consumers(of: fold).compactMap { block.matrices[$0]?.columns }
        let channels = try #require(widths.first)
        block.apply(fold, scales: fold.tied((0..<channels).map { 0.5 + Float($0 * 7 % 11) / 4 }))
      }
      for linear in block.graph.linears where block.graph.folds.contains(where: { $0.sites.contains(linear.input) }) {
        #expect(block.matrices[linear.layer] != original.matrices[linear.layer])
      }
      engine.runBlock(block, hidden: &hidden, sequenceLength: 40)
    }
    let expected = try engine.allLogits(tokens, sequenceLength: 40)
    // The order of rounding alone moves those of DBRX by 1.1e-5.
    #expect(relativeDifference(engine.logits(hidden).values, expected.values) < (name == "dbrx" ? 2e-5 : 1e-5))
  }
}
