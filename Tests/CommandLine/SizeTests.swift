import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Outputs whose types are chosen for a size.
@Suite struct SizeTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  /// An analysis of the small model for some types.
  private func analysis(_ name: String, _ change: (inout ConversionRequest) -> Void) throws -> String {
    var request = ConversionRequest(input: model, output: folder.file(name))
    request.calibration.samples = 2
    request.calibration.context = 32
    request.threads = 2
    request.toFormat = "gguf"
    change(&request)
    let report = try Planner(registry).analyze(request, text: nil)
    writeFile(folder.file(name), Array(report.analysis.json.text().utf8))
    return folder.file(name)
  }

  private func size(_ path: String) -> Int { readFile(path).count }

  @Test func aFileHasTheSizeThatWasOrdered() throws {
    let types = ["q2_k", "q3_k", "q4_k", "iq4_xs", "q5_k", "q6_k", "q8_0"]
    let file = try analysis("a.json") { $0.size.preferred = types }
    let small = try plan(model, "small.gguf") {
      $0.scheme = "q2_k"; $0.isPure = true
    }.totalSize
    let large = try plan(model, "large.gguf") {
      $0.scheme = "q8_0"; $0.isPure = true
    }.totalSize
    var last = Double.infinity
    for share in [0.2, 0.5, 0.8] {
      let wanted = Int(Double(small) * (1 - share) + Double(large) * share)
      let made = try plan(model, "b.gguf") {
        $0.size.bytes = wanted
        $0.size.analysisPath = file
      }
      #expect(made.totalSize <= wanted && Double(wanted - made.totalSize) <= 0.001 * Double(wanted), "\(made.totalSize) of \(wanted)")
      let expected = try #require(made.sizes?.divergence)
      #expect(expected > 0 && expected < last)
      last = expected
    }
    let path = try convert(model, "c.gguf") {
      $0.size.bytes = (small + large) / 2
      $0.size.analysisPath = file
    }
    #expect(size(path) <= (small + large) / 2)
    #expect(Set(try Opening(registry).open(path).tensors.map(\.storage.schemeName)).isSubset(of: types + ["f32"]))
  }

  /// What a type costs depends on how it is rounded: the analysis says for which methods it was made, with all their options.
  @Test func anAnalysisForOtherMethodsIsNotTrustedBlindly() throws {
    let file = try analysis("a.json") {
      $0.size.preferred = ["q3_k", "q6_k"]
      $0.calibration.samples = 12
      $0.calibration.context = 64
      $0.methods = [(id: "gptq", options: [:])]
    }
    func warnings(_ methods: [(id: String, options: [String: String])]) throws -> [String] {
      try plan(model, "b.gguf") {
        $0.size.bitsPerWeight = 5
        $0.size.analysisPath = file
        $0.methods = methods
      }.warnings.filter { $0.contains("the analysis was made for gptq:") }
    }
    #expect(try warnings([(id: "gptq", options: ["correct": "0.5"])]).isEmpty)
    #expect(try warnings([(id: "gptq", options: ["correct": "0"])]).count == 1)
    #expect(try warnings([]).count == 1)
  }

  @Test func bitsAndDivergenceCanBeOrdered() throws {
    let file = try analysis("a.json") { $0.size.preferred = ["q3_k", "q4_k", "q6_k"] }
    let bits = try plan(model, "b.gguf") {
      $0.size.bitsPerWeight = 4.9
      $0.size.analysisPath = file
    }
    #expect(bits.bitsPerWeight <= 4.9 && bits.bitsPerWeight > 4.89)
    let quality = try plan(model, "c.gguf") {
      $0.size.divergence = bits.sizes?.divergence
      $0.size.analysisPath = file
    }
    #expect(quality.totalSize <= bits.totalSize)
    let divergences = (try #require(quality.sizes?.divergence), try #require(bits.sizes?.divergence))
    #expect(divergences.0 <= divergences.1 * 1.000001)
  }

  @Test func whatATensorRuleSaysStays() throws {
    let file = try analysis("a.json") { $0.size.preferred = ["q3_k", "q4_k", "q6_k"] }
    let made = try plan(model, "b.gguf") {
      $0.size.bitsPerWeight = 5
      $0.size.analysisPath = file
      $0.tensorRules = ["*.attn_v.*=q8_0"]
    }
    let values = made.tensors.filter { $0.name.contains("attn_v") }
    #expect(!values.isEmpty && values.allSatisfy { $0.scheme.name == "q8_0" })
    #expect(made.bitsPerWeight <= 5)
  }

  /// vLLM joins queries, keys and values, and gate and up; MLX joins nothing.
  @Test func layersThatAClientJoinsGetOneType() throws {
    let names = ["int4-g32", "int8-channel"]
    let file = try analysis("a.json") {
      $0.toFormat = "huggingface"
      $0.size.preferred = names
    }
    func ordered(_ bits: Double) throws -> ConversionPlan {
      try plan(model, "out") {
        $0.client = "vllm"
        $0.size.bitsPerWeight = bits
        $0.size.analysisPath = file
      }
    }
    let smallest = try #require(
      failure(model, "out") {
        $0.client = "vllm"
        $0.size.bitsPerWeight = 1
        $0.size.analysisPath = file
      })
    #expect(smallest.id == "sizes.range")
    let uniform = try plan(model, "out") { $0.scheme = "int4-g32" }.bitsPerWeight
    let made = try ordered(uniform + 0.5)
    var kinds: Set<String> = []
    for block in 0..<(made.model?.blocks.count ?? 0) {
      func schemes(_ roles: [TensorRole]) -> Set<String> {
        Set(made.tensors.filter { $0.id?.block == block && roles.contains($0.id?.role ?? .output) }.map(\.scheme.name))
      }
      #expect(schemes([.query, .key, .value]).count == 1)
      #expect(schemes([.gate, .up]).count == 1)
      kinds.formUnion(schemes([.query, .gate, .down]))
    }
    #expect(kinds == Set(names))
  }

  @Test func mlxFoldersAreMadeToOrder() throws {
    let file = try analysis("a.json") {
      $0.toFormat = "huggingface"
      $0.packing = "mlx"
      $0.size.preferred = ["int2-g32-affine", "int4-g32-affine", "int8-g32-affine"]
    }
    let path = try convert(model, "out") {
      $0.packing = "mlx"
      $0.size.bitsPerWeight = 6
      $0.size.analysisPath = file
    }
    let made = try Opening(registry).open(path)
    #expect(Set(made.tensors.map(\.storage.schemeName)).count > 2)
  }

  @Test func anOrderWithoutWhatItNeedsIsRefused() throws {
    let file = try analysis("a.json") { $0.size.preferred = ["q4_k", "q6_k"] }
    let cases: [(id: String, change: (inout ConversionRequest) -> Void)] = [
      ("sizes.no-analysis", { $0.size.bytes = 1_000_000 }),
      (
        "sizes.conflict",
        {
          $0.size.bytes = 1_000_000; $0.size.bitsPerWeight = 4
        }
      ),
      (
        "sizes.scheme",
        {
          $0.size.bytes = 1_000_000; $0.size.analysisPath = file; $0.scheme = "q4_k"
        }
      ),
      ("sizes.no-order", { $0.size.analysisPath = file }),
      ("sizes.no-order", { $0.size.preferred = ["q4_k"] }),
      (
        "sizes.range",
        {
          $0.size.bytes = 1000; $0.size.analysisPath = file
        }
      ),
      (
        "sizes.range",
        {
          $0.size.divergence = 1e-30; $0.size.analysisPath = file
        }
      ),
      (
        "sizes.not-measured",
        {
          $0.size.bitsPerWeight = 4; $0.size.analysisPath = file; $0.size.preferred = ["q3_k", "q5_k"]
        }
      ),
      (
        "scheme.unknown",
        {
          $0.size.bitsPerWeight = 4; $0.size.analysisPath = file; $0.size.preferred = ["q99"]
        }
      ),
      (
        "sizes.model",
        {
          $0.size.bitsPerWeight = 4; $0.size.analysisPath = file; $0.droppedBlocks = [0]
        }
      ),
    ]
    for (id, change) in cases {
      let failure = failure(model, "b.gguf", change)
      #expect(failure?.id == id && failure?.remedy != nil, "\(id): \(failure.map { "\($0.id) \($0.message)" } ?? "no failure")")
    }
    let other = #expect(throws: Failure.self) {
      try analysis("b.json") { $0.methods = [(id: "smoothquant", options: [:])] }
    }
    #expect(other?.id == "sizes.transform")
  }

  /// The text that is given is measured on in the same run; twice the same file.
  @Test func aModelIsMeasuredInTheSameRun() throws {
    let text = SharedData.fixture("text/evaluation.txt")
    func made(_ threads: Int) throws -> ConversionPlan {
      try plan(model, "b.gguf") {
        $0.size.bitsPerWeight = 4.5
        $0.size.preferred = ["q3_k", "q4_k", "q6_k"]
        $0.calibration.files = [text]
        $0.threads = threads
      }
    }
    let first = try made(1)
    #expect(first.bitsPerWeight <= 4.5)
    #expect(try made(3).tensors.map(\.scheme.name) == first.tensors.map(\.scheme.name))
  }
}
