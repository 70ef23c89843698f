import QConvertKit
import QuantCore
import TestSupport
import Testing

/// gpt-oss through files: experts in one transposed stack, as floats or as MXFP4.
@Suite struct GptOssTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()
  private let opening: Opening

  init() throws {
    registry = try Registry(QConvert.builtIn)
    opening = Opening(registry)
  }

  private static let gateUp = "model.layers.1.mlp.experts.gate_up_proj", down = "model.layers.1.mlp.experts.down_proj"

  /// The fixture, with YaRN as llama.cpp computes it.
  private func rounded(_ name: String = "rounded") throws -> String {
    try RandomModel.copy(name, from: SharedData.fixture("engine/gpt-oss"), into: folder) {
      $0.replacing("\"truncate\": false", with: "\"truncate\": true")
    }
  }

  /// The folder that the layout's owner wrote, with a tokenizer.
  private func golden() throws -> String { try RandomModel.copy("golden", from: SharedData.fixture("golden/gptoss-mxfp4"), into: folder) }

  private func logits(_ path: String, _ tokens: [Int] = (0..<60).map { ($0 * 37 + 5) % 96 }) throws -> Matrix {
    let checkpoint = try opening.open(path)
    let engine = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
    var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
    for block in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: tokens.count)
    }
    return engine.logits(hidden)
  }

  private func distance(_ a: Matrix, _ b: Matrix) -> Float {
    let largest = b.values.reduce(0) { max($0, abs($1)) }
    return zip(a.values, b.values).reduce(0) { ($1.0 - $1.1).isFinite ? max($0, abs($1.0 - $1.1) / largest) : .infinity }
  }

  /// Root mean square of the difference, relative to that of the logits. A token that is routed to another expert can change its
  /// own position arbitrarily, but not the others.
  private func meanDistance(_ a: Matrix, _ b: Matrix) -> Double {
    func sum(_ values: some Sequence<Float>) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) } }
    return (sum(zip(a.values, b.values).map { $0 - $1 }) / sum(b.values)).squareRoot()
  }

  // MARK: Floats

  @Test func aGGUFHoldsGateAndUpApartAndComputesTheSame() throws {
    let source = try rounded()
    let file = try convert(source, "model.gguf") { $0.scheme = "f32" }
    let stack = try #require(try opening.open(source)[Self.gateUp]), stored = try opening.open(file)
    let gate = try #require(stored["blk.1.ffn_gate_exps.weight"]), up = try #require(stored["blk.1.ffn_up_exps.weight"])
    #expect(gate.shape == [4, 64, 32] && up.shape == [4, 64, 32] && stack.shape == [4, 32, 128])
    let (gates, ups, values) = (gate.matrix().values, up.matrix().values, stack.matrix().values)
    for index in 0..<4 * 64 * 32 {
      let (expert, row, column) = (index / (64 * 32), index / 32 % 64, index % 32)
      let start = (expert * 32 + column) * 128 + 2 * row
      #expect(gates[index] == values[start] && ups[index] == values[start + 1])
    }
    #expect(stored["blk.0.attn_sinks.weight"]?.shape == [4] && stored["blk.0.ffn_gate_inp.bias"]?.shape == [4])
    #expect(stored["blk.0.ffn_up_exps.bias"]?.shape == [4, 64] && stored["blk.0.ffn_up_exps.bias"]?.storage.schemeName == "f32")
    #expect(try logits(file) == logits(source))
  }

  @Test func theFolderOfAGGUFIsTheFirstFolder() throws {
    let source = try opening.open(rounded())
    let file = try convert(source.path, "model.gguf") { $0.scheme = "bf16" }
    let again = try opening.open(convert(file, "again") { $0.scheme = "bf16" })
    #expect(Set(again.tensors.map(\.name)) == Set(source.tensors.map(\.name)))
    for tensor in source.tensors {
      #expect(again[tensor.name]?.shape == tensor.shape && again[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)")
    }
    // A GGUF does not say whether the bounds of YaRN are rounded. No published model rounds them, so a folder from a GGUF does not.
    let model = try opening.describe(again), published = try opening.describe(opening.open(SharedData.fixture("engine/gpt-oss")))
    #expect(model.blocks.count == 2 && model.blocks == published.blocks)
  }

  @Test func whatLlamaCppComputesOtherwiseIsSaid() throws {
    let path = try RandomModel.copy("gpt-oss", into: folder)
    #expect(try plan(path, "model.gguf") { $0.scheme = "f32" }.warnings.contains { $0.contains("YaRN") })
    #expect(try plan(path, "out") { $0.scheme = "f32" }.warnings.isEmpty)
    #expect(try plan(rounded(), "model.gguf") { $0.scheme = "f32" }.warnings.isEmpty)
  }

  @Test(arguments: [
    ("\"full_attention\"", "\"sliding_attention\""), ("\"attention_bias\": true", "\"swiglu_limit\": 5.0"),
    ("\"factor\": 4.0", "\"factor\": 4.0, \"attention_factor\": 1.5"), ("\"beta_slow\": 1.0", "\"beta_slow\": 2.0"),
  ]) func modelsThatLlamaCppWouldComputeOtherwiseAreRefused(_ old: String, _ new: String) throws {
    let path = try RandomModel.copy("gpt-oss", into: folder) { $0.replacing(old, with: new) }
    #expect(failure(path, "model.gguf") { $0.scheme = "f32" }?.id == "gguf.architecture")
    #expect(try logits(path).values.allSatisfy(\.isFinite))
  }

  // MARK: MXFP4

  @Test func logitsOfCodesAreThoseOfTransformers() throws {
    let path = try golden()
    let expected = try JSON.parse(ByteView(readFile(SharedData.fixture("golden/gptoss-mxfp4/forward-check.json"))))
    let found = try logits(path, try #require(expected["tokens"]?.arrayValue).compactMap(\.intValue))
    let checks = try #require(expected["checks"]?.arrayValue)
    #expect(checks.count == 4)
    for check in checks {
      let position = try #require(check["position"]?.intValue)
      let wanted = try #require(check["logits_0_to_16"]?.arrayValue).compactMap { $0.doubleValue.map { Float($0) } }
      for (column, value) in wanted.enumerated() { #expect(abs(found[position, column] - value) < 3e-4) }
      let row = found.values[position * found.columns..<(position + 1) * found.columns]
      #expect(row.indices.max { row[$0] < row[$1] }.map { $0 - row.startIndex } == check["argmax"]?.intValue)
    }
  }

  /// Each byte holds two codes of a row: neighbours in a folder, 16 columns apart in a GGUF.
  @Test func codesMoveToBlocksAndBackByteByByte() throws {
    let path = try golden()
    let file = try convert(path, "model.gguf")
    let stored = try opening.open(file), original = storedTensors(path + "/model.safetensors")
    func bytes(_ name: String) throws -> [UInt8] {
      try #require(original.first { $0.name == name }?.storage.verbatim).withUnsafeBytes { [UInt8]($0) }
    }
    // [experts, out, groups, 16]; rows of gate and up alternate.
    for (name, stack, turns, first) in [("gate", Self.gateUp, 2, 0), ("up", Self.gateUp, 2, 1), ("down", Self.down, 1, 0)] {
      let tensor = try #require(stored["blk.1.ffn_\(name)_exps.weight"])
      #expect(tensor.storage.schemeName == "mxfp4")
      let blocks = try bytes(stack + "_blocks"), scales = try bytes(stack + "_scales"), groups = tensor.rowLength / 32
      var expected: [UInt8] = []
      for row in 0..<tensor.rowCount {
        for group in 0..<groups {
          let from = (row * turns + first) * groups + group
          let codes = blocks[from * 16..<from * 16 + 16].flatMap { [$0 & 15, $0 >> 4] }
          expected.append(scales[from])
          expected += (0..<16).map { codes[$0] | codes[$0 + 16] << 4 }
        }
      }
      #expect(tensor.storage.verbatim?.withUnsafeBytes { [UInt8]($0) } == expected, "\(name)")
    }
    let keys = try #require(stored.configuration?.keyValues)
    #expect(keys["general.file_type"] == .u32(38))
    let again = try convert(file, "again")
    let kept = Dictionary(storedTensors(again + "/model.safetensors").map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    #expect(kept.count == original.count)
    for tensor in original where tensor.name.hasSuffix("_blocks") || tensor.name.hasSuffix("_scales") {
      #expect(kept[tensor.name]?.hasSameContent(as: tensor) == true, "\(tensor.name)")
    }
    #expect(try opening.open(again).quantizationConfiguration == opening.open(path).quantizationConfiguration)
    let tokens = (0..<32).map { $0 * 7 % 256 }
    #expect(try distance(logits(again, tokens), logits(path, tokens)) < 1e-5)
  }

  @Test func floatsOfCodesAreTransposedAndFloatsAreRoundedAsStacks() throws {
    let source = try rounded()
    let packed = try convert(source, "packed") { $0.scheme = "mxfp4" }
    #expect(try opening.open(packed).packing == "gpt-oss")
    let floats = try convert(packed, "floats") { $0.scheme = "f32" }
    #expect(try opening.open(floats)[Self.gateUp]?.shape == [4, 32, 128])
    #expect(try logits(floats) == logits(packed))
    let viaFile = try convert(convert(packed, "packed.gguf") { $0.scheme = "f32" }, "via-file") { $0.scheme = "f32" }
    #expect(try opening.open(viaFile)[Self.gateUp]?.matrix() == opening.open(floats)[Self.gateUp]?.matrix())
    // A GGUF of floats gives the same codes.
    let file = try convert(source, "floats.gguf") { $0.scheme = "bf16" }
    let fromFile = try convert(file, "from-file") { $0.scheme = "mxfp4" }
    let own = storedTensors(packed + "/model.safetensors")
    let made = Dictionary(storedTensors(fromFile + "/model.safetensors").map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for tensor in own where tensor.name.hasSuffix("_blocks") || tensor.name.hasSuffix("_scales") {
      #expect(made[tensor.name]?.hasSameContent(as: tensor) == true, "\(tensor.name)")
    }
    // Without a family, the whole tensor is transposed.
    let unknown = try RandomModel.copy("unknown", from: SharedData.fixture("engine/gpt-oss"), into: folder) {
      $0.replacing("GptOssForCausalLM", with: "GptOssForSomething")
    }
    let whole = try convert(unknown, "whole") { $0.scheme = "mxfp4" }
    let others = storedTensors(whole + "/model.safetensors")
    #expect(others.count == own.count)
    for (a, b) in zip(others, own) { #expect(a.name == b.name && a.hasSameContent(as: b), "\(a.name)") }
  }

  @Test func comparingLooksAtBothTheSameWay() throws {
    let source = try rounded()
    let packed = try convert(source, "packed") { $0.scheme = "mxfp4" }
    let file = try convert(packed, "packed.gguf")
    func verdicts(_ first: String, _ second: String) throws -> Set<Comparison.Verdict> {
      Set(try Comparison(opening.open(first), opening.open(second), opening: opening, threads: 2).tensors.map(\.verdict))
    }
    #expect(try verdicts(packed, file) == [.equal, .repacked])
    #expect(try verdicts(file, packed) == [.equal, .repacked])
    #expect(try verdicts(packed, packed) == [.equal])
    #expect(try verdicts(source, file).contains(.different))
  }

  // MARK: Methods

  private func calibrated(_ request: inout ConversionRequest, _ method: String, _ scheme: String) {
    let text = folder.file("text.txt")
    writeFile(text, Array(RandomModel.text.utf8))
    request.calibration.files = [text]
    request.calibration.samples = 8
    // What feedback does to the stream and to rows moves weights further than the pass through the columns.
    request.methods = [(id: method, options: method == "gptq" ? ["correct": "0", "refine": "0", "rescale": "off"] : [:])]
    request.scheme = scheme
  }

  /// The routing of a random model hides the gain of feedback; experts that are mixed up or transposed would change everything.
  @Test(arguments: [
    ("gptq", "q4_0", "out.gguf"), ("gptq", "q8_0", "out.gguf"), ("gptq", "mxfp4_moe", "out.gguf"), ("gptq", "mxfp4", "out"),
    ("awq", "q4_0", "out.gguf"), ("awq", "mxfp4", "out"),
  ]) func expertsAreCalibratedOneByOne(_ method: String, _ scheme: String, _ output: String) throws {
    let source = try rounded()
    let plain = try convert(source, "plain-" + output) { $0.scheme = scheme }
    let made = try convert(source, output) { calibrated(&$0, method, scheme) }
    let (a, b) = (try opening.open(made), try opening.open(plain))
    let names = a.tensors.filter { $0.shape.count == 3 && $0.storage.codes != nil }.map(\.name)
    #expect(names.count == (output == "out" ? 4 : 6))
    for name in names {
      #expect(a[name]?.storage.schemeName == b[name]?.storage.schemeName && a[name]?.matrix() != b[name]?.matrix(), "\(name)")
    }
    let moved = try meanDistance(logits(made), logits(source)), alone = try meanDistance(logits(plain), logits(source))
    #expect(moved < 1.3 * alone)
    guard method == "gptq" else { return }
    let floats = try opening.open(convert(source, "floats-" + output) { $0.scheme = "f32" })
    for name in names {
      let (own, rounded) = (try #require(floats[name]).matrix(), try #require(b[name]).matrix())
      #expect(try meanDistance(#require(a[name]).matrix(), own) < 2 * meanDistance(rounded, own), "\(name)")
    }
  }

  /// transformers and vLLM load packed experts of this class only as MXFP4.
  @Test(arguments: ["gptq", "awq"]) func inFoldersOfIntegersTheExpertsStayFloats(_ method: String) throws {
    let source = try rounded()
    let made = try opening.open(convert(source, "integers") { calibrated(&$0, method, "int4-g32") })
    for tensor in made.tensors {
      let isPacked = tensor.storage.codes != nil
      #expect(isPacked == (tensor.name.contains("self_attn") && tensor.name.hasSuffix("proj.weight")), "\(tensor.name)")
    }
    #expect(made[Self.gateUp]?.shape == [4, 32, 128])
    let left = made.quantizationConfiguration?["ignore"]?.arrayValue?.compactMap(\.stringValue) ?? []
    #expect(left == ["lm_head", #"re:(.*\.)?router$"#, #"re:(.*\.)?experts$"#])
    let plain = try convert(source, "plain") { $0.scheme = "int4-g32" }
    let moved = try meanDistance(logits(made.path), logits(source)), alone = try meanDistance(logits(plain), logits(source))
    #expect(moved < 1.3 * alone)
    // Codes of two packings cannot be described by one configuration.
    let mixed = failure(source, "mixed") {
      $0.scheme = "int4-g32"
      $0.tensorRules = ["*.experts.*_proj=mxfp4"]
    }
    #expect(mixed?.id == "hf.mixed-packings")
  }
}
