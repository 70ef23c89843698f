import QConvertKit
import QuantCore
import TestSupport
import Testing

/// The bytes of an output do not depend on the number of threads: every registered method, into a file and into a folder.
@Suite struct ThreadCountTests {
  /// A method that chooses the types, in place of the scheme.
  private static let choosing = "aptq:wide=int4-g32/q4_k,narrow=int2-g32/q2_k"
  /// Chains of methods with options.
  static let chains =
    QConvert.builtIn.compactMap { ($0 as? any QuantizationMethod.Type)?.id }.map { $0 == "aptq" ? [choosing] : [$0] } + [
      ["gptq:correct=0.25"], ["smoothquant:alpha=auto", "gptq"], ["awq:grid=8", "gptq"],
    ]

  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model: String

  init() throws {
    registry = try Registry(QConvert.builtIn)
    writeFile(folder.file("text.txt"), Array(readFile(SharedData.fixture("text/evaluation.txt")).prefix(3000)))
    model = try ShortModel.make(blocks: 1, in: folder, Opening(registry).open(SharedData.fixture("models/tiny-llama")))
  }

  /// All files of an output, by path.
  private func files(of plan: ConversionPlan) -> [String: [UInt8]] {
    let paths =
      plan.layout.isFolder ? plan.layout.files.map { plan.request.output + "/" + $0.name } : plan.layout.targets(plan.request.output)
    return Dictionary(uniqueKeysWithValues: paths.map { ($0, readFile($0)) })
  }

  /// Outputs of runs with 1, 2 and 3 threads.
  private func outputs(_ chain: [String], _ output: String, _ change: (inout ConversionRequest) -> Void) throws -> [[String: [UInt8]]] {
    try [1, 2, 3].map { threads in
      var request = ConversionRequest(input: model, output: folder.file(output))
      request.methods = chain.map { text in
        let words = text.split(separator: ":").map(String.init)
        let options = words.dropFirst().flatMap { $0.split(separator: ",") }.map { $0.split(separator: "=").map(String.init) }
        return (id: words[0], options: Dictionary(uniqueKeysWithValues: options.map { ($0[0], $0[1]) }))
      }
      // More tokens than the attention has channels; layers with more input channels fall back.
      request.calibration.files = [folder.file("text.txt")]
      request.calibration.samples = 3
      request.calibration.context = 120
      request.threads = threads
      request.force = true
      change(&request)
      let plan = try Planner(registry).plan(request)
      try Converter(registry).run(plan, progress: SilentProgress())
      return files(of: plan)
    }
  }

  @Test(arguments: chains, [("m.gguf", "q4_k_m"), ("folder", "w4a16")])
  func bytesAreThoseOfOneThread(_ chain: [String], _ target: (output: String, scheme: String)) throws {
    let found = try outputs(chain, target.output) { $0.scheme = chain == [Self.choosing] ? nil : target.scheme }
    #expect(found[0].values.allSatisfy { !$0.isEmpty } && found[1] == found[0] && found[2] == found[0])
  }

  /// Products of short floats split their sums differently.
  @Test(arguments: ["awq", "gptq", "smoothquant:alpha=auto"], [("m.gguf", "q4_0"), ("folder", "w8a8-static")])
  func productsOfShortFloatsAreThoseOfOneThread(_ method: String, _ target: (output: String, scheme: String)) throws {
    let found = try outputs([method], target.output) {
      $0.scheme = target.scheme
      $0.calibration.precision = .bf16
    }
    #expect(found[0].values.allSatisfy { !$0.isEmpty } && found[1] == found[0] && found[2] == found[0])
  }

  @Test func trueSequentialBytesAreThoseOfOneThread() throws {
    let found = try outputs(["gptq"], "m.gguf") {
      $0.scheme = "q4_0"
      $0.isTrueSequential = true
    }
    #expect(found[1] == found[0] && found[2] == found[0])
  }
}
