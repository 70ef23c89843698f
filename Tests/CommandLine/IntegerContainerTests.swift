import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Whole conversions into the packings of integers, and from one to the next.
@Suite struct IntegerContainerTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  @discardableResult
  private func convert(
    _ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void = { _ in }
  ) throws -> ConversionPlan {
    var request = ConversionRequest(input: input, output: folder.file(output))
    change(&request)
    let plan = try Planner(registry).plan(request)
    _ = try Converter(registry).run(plan, progress: SilentProgress())
    return plan
  }

  private func open(_ output: String) throws -> Checkpoint { try Opening(registry).open(folder.file(output)) }

  private func logits(_ path: String) throws -> [Float] {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path)
    let engine = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
    let tokens = (0..<12).map { $0 * 37 % 500 }
    var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
    for block in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: tokens.count)
    }
    return engine.logits(hidden).values
  }

  @Test(arguments: [
    ("gptq", "int4-g64"), ("gptq", "int2-g32-asym"), ("gptq_v2", "int3-g32"), ("gptq", "int8-channel"), ("awq", "int4-g64-asym"),
    ("pack-quantized", "int5-g64-asym"),
  ]) func aFolderHoldsWhatTheRuleSaysHoweverWorkIsCut(_ packing: String, _ scheme: String) throws {
    for threads in [1, 3] {
      try convert(model, "\(threads)") {
        $0.scheme = scheme
        $0.packing = packing
        $0.threads = threads
      }
    }
    #expect(readFile(folder.file("1/model.safetensors")) == readFile(folder.file("3/model.safetensors")))
    #expect(readFile(folder.file("1/config.json")) == readFile(folder.file("3/config.json")))
    let rule = try #require(IntegerSchemes.scheme(named: scheme, modelType: .bf16) as? IntegerScheme)
    let stored = packing == "pack-quantized" ? rule : rule.storing(scales: .f16)
    let (source, result) = (try Opening(registry).open(model), try open("1"))
    #expect(result.tensors.map(\.name).sorted() == source.tensors.map(\.name).sorted())
    for tensor in source.tensors {
      let found = try #require(result[tensor.name])
      let isRounded = found.storage.schemeName == scheme
      #expect(isRounded == (tensor.name.hasSuffix("_proj.weight")))
      #expect(found.matrix().values == (isRounded ? tensor.matrix().withPanel { stored.roundTrip($0) } : tensor.matrix().values))
    }
  }

  @Test func codesMoveFromContainerToContainer() throws {
    try convert(model, "gptq") {
      $0.scheme = "int4-g32"
      $0.packing = "gptq"
    }
    let expected = try logits(folder.file("gptq"))
    for (input, output, packing) in [
      ("gptq", "awq", "awq"), ("awq", "packed", "pack-quantized"), ("packed", "again", "gptq_v2"), ("gptq", "blocks.gguf", nil),
    ] {
      let plan = try convert(folder.file(input), output) { $0.packing = packing }
      let moved = plan.tensors.filter { $0.repacking != nil }
      #expect(moved.count == 7 * 8 && moved.allSatisfy { $0.repacking?.fidelity == .exact }, "\(output)")
      let found = try logits(folder.file(output))
      let largest = expected.reduce(0) { max($0, abs($1)) }
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-6 * largest }, "\(output)")
    }
    #expect(try open("blocks.gguf").tensors.count { $0.storage.schemeName == "q4_0" } == 7 * 8)
  }

  @Test func layoutsOfCompressedTensorsAreMixedInOneFolderAndOthersAreNot() throws {
    func rule(_ packing: String?) -> (inout ConversionRequest) -> Void {
      {
        $0.scheme = "int4-g64"
        $0.packing = packing
        $0.tensorRules = ["*.v_proj.weight=fp8-channel"]
        $0.force = true
      }
    }
    try convert(model, "mixed", rule(nil))
    let kinds = Set(try open("mixed").tensors.map(\.storage.schemeName))
    #expect(kinds.isSuperset(of: ["int4-g64", "fp8-channel"]))
    let failure = #expect(throws: Failure.self) { try convert(model, "mixed", rule("gptq")) }
    #expect(failure?.id == "packing.none")
  }

  @Test func layersOfAGPTQFolderMayDiffer() throws {
    try convert(model, "rules") {
      $0.scheme = "int4-g64"
      $0.packing = "gptq"
      $0.tensorRules = ["*.v_proj.weight=int8-channel", "*.0.*o_proj.weight=bf16"]
    }
    let result = try open("rules")
    #expect(result["model.layers.1.self_attn.v_proj.weight"]?.storage.schemeName == "int8-channel")
    #expect(result["model.layers.0.self_attn.o_proj.weight"]?.storage.schemeName == "bf16")
    #expect(result["model.layers.1.self_attn.o_proj.weight"]?.storage.schemeName == "int4-g64")
  }

  @Test func whatAContainerCannotHoldIsRefusedByName() throws {
    func id(_ scheme: String, _ packing: String, _ source: String? = nil) -> String? {
      #expect(throws: Failure.self) {
        try convert(source ?? model, "none") {
          $0.scheme = scheme
          $0.packing = packing
        }
      }?.id
    }
    #expect(id("int4-g64", "awq") == "packing.none")
    #expect(id("int5-g64", "gptq") == "packing.none")
    #expect(id("fp8-channel", "gptq") == "packing.none")
    #expect(id("int3-g16", "gptq", SharedData.fixture("engine/qwen2")) == "packing.shape")
  }
}
