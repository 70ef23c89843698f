import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Conversions of models whose matrices are stored transposed, concatenated or interleaved.
@Suite struct ContainerLayoutTests {
  private let registry: Registry
  private let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func convert(_ name: String, _ output: String, scheme: String?) throws {
    var request = ConversionRequest(input: SharedData.fixture("engine/" + name), output: folder.file(output))
    request.scheme = scheme
    let plan = try Planner(registry).plan(request)
    _ = try Converter(registry).run(plan, progress: SilentProgress())
  }

  private func failure(_ name: String, _ output: String, scheme: String?) throws -> Failure? {
    do {
      try convert(name, output, scheme: scheme)
      return nil
    } catch let error as Failure { return error }
  }

  @Test func codesOfATransposedMatrixAreRefused() throws {
    let error = try #require(try failure("gpt2", "codes", scheme: "int4-channel"))
    #expect(error.kind == .unsupported && error.id == "scheme.transposed")
    #expect(error.tensor == "transformer.h.0.attn.c_attn.weight")
    #expect(error.remedy?.description.contains(".gguf") == true)
  }

  @Test(arguments: ["opt", "bloom-residual"]) func whatLlamaCppDoesNotKnowIsNotWrittenAsGGUF(_ name: String) throws {
    #expect(try failure(name, "model.gguf", scheme: "f32")?.id == "gguf.architecture")
  }

  @Test(arguments: ["gpt2", "bloom", "mixtral", "opt"]) func floatsKeepTheirPlaces(_ name: String) throws {
    try convert(name, "floats", scheme: "f32")
    let opening = Opening(registry)
    let source = try opening.open(SharedData.fixture("engine/" + name))
    let result = try opening.open(folder.file("floats"))
    #expect(Set(result.tensors.map(\.name)) == Set(source.tensors.map(\.name)))
    for tensor in source.tensors { #expect(result[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)") }
  }
}
