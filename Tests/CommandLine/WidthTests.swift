import QConvertKit
import QuantCore
import TestSupport
import Testing

@testable import QuantModel

/// Outputs in which a method chooses between two types for each layer.
@Suite struct WidthTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func chosen(_ output: String, _ options: [String: String], _ change: (inout ConversionRequest) -> Void = { _ in }) throws
    -> ConversionPlan
  {
    try plan(model, output) {
      $0.methods = [(id: "aptq", options: options)]
      $0.calibration.samples = 12
      $0.calibration.context = 64
      change(&$0)
    }
  }

  /// The types of the layers of blocks, with the share of weights that have the wider.
  private func share(of wide: String, _ plan: ConversionPlan) -> Double {
    let layers = plan.tensors.filter { $0.id?.block != nil && $0.scheme.grid.kind != .float }
    func weights(_ tensors: [PlannedTensor]) -> Double { tensors.reduce(0) { $0 + Double($1.shape.reduce(1, *)) } }
    return weights(layers.filter { $0.scheme.name == wide }) / weights(layers)
  }

  @Test(arguments: [0, 0.5, 0.75, 1]) func theMostSensitiveLayersGetTheWiderType(_ wanted: Double) throws {
    let made = try chosen("a.gguf", ["wide": "q6_k/q5_0", "narrow": "q3_k", "share": "\(wanted)"])
    #expect(abs(share(of: "q6_k", made) - wanted) < 0.05, "\(share(of: "q6_k", made))")
    // What is outside of the blocks gets the wider type.
    #expect(made.tensors.first { $0.id?.role == .tokenEmbedding }?.scheme.name == "q6_k")
    // With each step, layers get the wider type and none loses it.
    let more = try chosen("b.gguf", ["wide": "q6_k", "narrow": "q3_k", "share": "\(min(1, wanted + 0.2))"])
    let wide = { (plan: ConversionPlan) in Set(plan.tensors.filter { $0.scheme.name == "q6_k" }.map(\.name)) }
    #expect(wide(made).isSubset(of: wide(more)))
  }

  @Test func layersThatAClientJoinsGetOneType() throws {
    let made = try chosen("out", ["wide": "int8-g32", "narrow": "int4-g32", "share": "0.5"]) { $0.client = "vllm" }
    for block in 0..<(made.model?.blocks.count ?? 0) {
      func schemes(_ roles: [TensorRole]) -> Set<String> {
        Set(made.tensors.filter { $0.id?.block == block && roles.contains($0.id?.role ?? .output) }.map(\.scheme.name))
      }
      #expect(schemes([.query, .key, .value]).count == 1 && schemes([.gate, .up]).count == 1)
    }
    #expect(abs(share(of: "int8-g32", made) - 0.5) < 0.1)
  }

  /// The values' matrix is rounded under other statistics, all others as by gptq.
  @Test func valuesAreRoundedUnderWhatAttentionMakesOfTheirInputs() throws {
    func bytes(_ name: String, _ methods: [(id: String, options: [String: String])], _ scheme: String?) throws -> [String: [UInt8]] {
      let path = try convert(model, name) {
        $0.methods = methods
        $0.scheme = scheme
        $0.isPure = scheme != nil
        $0.calibration.samples = 12
        $0.calibration.context = 64
        $0.propagation = .original
      }
      return Dictionary(
        uniqueKeysWithValues: try Opening(registry).open(path).tensors.map { ($0.name, $0.storage.verbatim?.bytes ?? []) })
    }
    let options = ["correct": "0"]
    let plain = try bytes("a.gguf", [(id: "gptq", options: options)], "q4_k")
    let aware = try bytes("b.gguf", [(id: "aptq", options: options.merging(["wide": "q4_k", "share": "1"]) { $1 })], nil)
    let inBlocks = plain.keys.filter { $0.hasPrefix("blk.") }
    #expect(inBlocks.count > 10)
    for name in inBlocks { #expect((plain[name] == aware[name]) == !name.contains("attn_v"), "\(name)") }
  }

  @Test func whatContradictsTheChoiceIsRefused() throws {
    func id(_ options: [String: String], _ output: String = "a.gguf", _ change: @escaping (inout ConversionRequest) -> Void = { _ in })
      -> String?
    {
      failure(model, output) {
        $0.methods = [(id: "aptq", options: options)]
        change(&$0)
      }?.id
    }
    #expect(id([:]) { $0.scheme = "q4_0" } == "method.types")
    #expect(id([:]) { $0.size.bitsPerWeight = 4 } == "method.types")
    #expect(id(["wide": "int4-g128", "narrow": "int2-g128"]) == "method.widths")
    #expect(id(["wide": "q99"]) == "scheme.unknown")
    #expect(id(["share": "1.5"]) == "option.value")
    #expect(failure(model, "a.gguf") { $0.methods = [(id: "aptq", options: [:]), (id: "aptq", options: [:])] }?.id == "method.types")
  }

  @Test func aShareIsMetAsNearlyAsLayersAllow() {
    let layers: [(weights: Int, sensitivity: Double)] = [(10, 1), (30, 5), (20, 3), (40, 3)]
    func chosen(_ share: Double) -> Set<Int> { WidthChoice(wide: [], narrow: [], share: share).wideLayers(layers) }
    #expect(chosen(0) == [] && chosen(1) == [0, 1, 2, 3])
    #expect(chosen(0.1) == [] && chosen(0.2) == [1] && chosen(0.3) == [1])
    #expect(chosen(0.45) == [1, 2] && chosen(0.85) == [1, 2, 3])
    #expect(WidthChoice(wide: [], narrow: [], share: 0.5).wideLayers([]) == [])
  }

  @Test func sensitivityIsTheMeanTraceOfTheHessian() throws {
    let method = try registry.method((id: "aptq", options: [:]))
    var statistics = SiteStatistics(channels: 2)
    statistics.tokens = 4
    statistics.gram = [8, 1, 1, 16]
    statistics.attended = [2, 0, 0, 4]
    func sensitivity(_ role: TensorRole) throws -> Double {
      try method.sensitivity(
        of: SensitivityTask(id: TensorID(role, block: 0), matrix: Matrix(rows: 1, columns: 2), statistics: statistics))
    }
    #expect(try sensitivity(.query) == 6 && sensitivity(.value) == 1.5)
  }
}
