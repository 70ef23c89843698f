import QConvertKit
import QuantCore
import TestSupport
import Testing

/// A model of a known architecture whose family does not support its variant.
@Suite struct UnsupportedVariantTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model: String

  init() throws {
    registry = try Registry(QConvert.builtIn)
    model = try RandomModel.copy("qwen2", into: folder) { $0.replacing("\"silu\"", with: "\"gelu\"") }
  }

  private func plan(_ output: String, _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> ConversionPlan {
    var request = ConversionRequest(input: model, output: folder.file(output))
    change(&request)
    return try Planner(registry).plan(request)
  }

  @Test func layersAreRecognizedByNameWithinTheFormat() throws {
    let plan = try plan("out") { $0.scheme = "int4-g16" }
    #expect(plan.warnings.contains { $0.hasPrefix("tensors are recognized by their names") && $0.contains("gelu") })
    let quantized = plan.tensors.filter { $0.scheme.grid.kind != .float }.map(\.name)
    #expect(!quantized.isEmpty && quantized.allSatisfy { $0.hasSuffix("_proj.weight") })
  }

  @Test func whatNeedsTheModelIsRefused() throws {
    let another = #expect(throws: Failure.self) { try plan("out.gguf") { $0.scheme = "f16" } }
    let calibrated = #expect(throws: Failure.self) { try plan("out") { $0.methods = [(id: "awq", options: [:])] } }
    for failure in [another, calibrated] {
      #expect(failure?.id == "model.activation" && failure?.kind == .unsupported)
      #expect(failure?.remedy == "Without calibration, it can still be converted within its format.")
    }
  }
}
