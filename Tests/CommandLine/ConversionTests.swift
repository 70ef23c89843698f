import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Whole conversions of the small real model that use the same objects as the program.
@Suite struct ConversionTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func convert(
    _ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void = { _ in }
  ) throws -> ConversionReport {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.calibration.samples = 8
    request.calibration.context = 128
    change(&request)
    let plan = try Planner(registry).plan(request)
    let report = try Converter(registry).run(plan, progress: SilentProgress())
    #expect(report.totalSize == plan.totalSize)
    return report
  }

  private func logits(_ path: String, _ ids: [Int]) throws -> Matrix {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path)
    let engine = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
    var hidden = try engine.embed(ids, sequenceLength: ids.count)
    for block in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: ids.count)
    }
    return engine.logits(hidden)
  }

  /// max|Δ| / max|logit|
  private func distance(_ a: Matrix, _ b: Matrix) -> Float {
    let largest = a.values.map { abs($0) }.max() ?? 1
    return zip(a.values, b.values).map { abs($0 - $1) }.max().map { $0 / largest } ?? .infinity
  }

  private let ids = [1, 50, 300, 7, 1999, 12, 800, 4000, 33, 2, 90, 1024, 600, 17, 5, 3000]

  @Test func theFileHasThePlannedSizeToTheByte() throws {
    let report = try convert(model, "q.gguf") { $0.scheme = "q4_k_m" }
    #expect(readFile(folder.file("q.gguf")).count == report.totalSize)
  }

  @Test func anUnquantizedGGUFComputesWhatTheFolderComputes() throws {
    _ = try convert(model, "f32.gguf") { $0.scheme = "f32" }
    #expect(try distance(logits(model, ids), logits(folder.file("f32.gguf"), ids)) < 1e-6)
  }

  @Test func fp8FoldersDoNotDependOnHowWorkIsCut() throws {
    for scheme in ["fp8", "fp8-block", "fp8-tensor", "nvfp4a16", "mxfp4a16", "mxfp8a16"] {
      for threads in [1, 3] {
        _ = try convert(model, "\(scheme)-\(threads)") {
          $0.scheme = scheme
          $0.threads = threads
        }
      }
      let files = [1, 3].map { readFile(folder.file("\(scheme)-\($0)/model.safetensors")) }
      #expect(files[0] == files[1] && !files[0].isEmpty)
      #expect(try distance(logits(model, ids), logits(folder.file("\(scheme)-1"), ids)) < (scheme.contains("fp4") ? 0.4 : 0.1))
    }
  }

  /// Clients join these layers to one matrix. Rounding one layer must not change the scale of the others.
  @Test(arguments: ["rtn", "gptq"]) func layersThatReadOneInputShareTheScaleOfNVFP4(_ method: String) throws {
    _ = try convert(model, method) {
      $0.scheme = "nvfp4a16"
      $0.methods = [(id: method, options: [:])]
    }
    let checkpoint = try Opening(registry).open(folder.file(method))
    func scale(_ layer: String, block: Int) throws -> Float {
      let tensor = try #require(checkpoint["model.layers.\(block).\(layer).weight"])
      let codes = try #require(tensor.storage as? any QuantizedStorage)
      return codes.panel(rows: 0..<1, rowLength: tensor.rowLength).parameters[1]
    }
    for block in [0, 1] {
      let query = try scale("self_attn.q_proj", block: block)
      for layer in ["self_attn.k_proj", "self_attn.v_proj"] { #expect(try scale(layer, block: block) == query) }
      #expect(try scale("mlp.gate_proj", block: block) == scale("mlp.up_proj", block: block))
      #expect(try scale("self_attn.o_proj", block: block) != query)
    }
  }

  @Test func foldsAloneLeaveLogitsAsTheyAre() throws {
    for target in ["q4_0", "q4_k", "int4-g128"] {
      _ = try convert(model, "folded.gguf") {
        $0.scheme = "f32"
        $0.methods = [(id: "awq", options: ["search": target])]
        $0.force = true
      }
      let folded = folder.file("folded.gguf")
      #expect(try distance(logits(model, ids), logits(folded, ids)) < 1e-4, "searched against \(target)")
      _ = try convert(model, "f32.gguf") {
        $0.scheme = "f32"; $0.force = true
      }
      #expect(readFile(folded) != readFile(folder.file("f32.gguf")), "something was folded")
    }
  }

  @Test func aFolderOfIntegersIsReadBackAsItWasRounded() throws {
    _ = try convert(model, "w4") { $0.scheme = "w4a16" }
    let opening = Opening(registry)
    let source = try opening.open(model), written = try opening.open(folder.file("w4"))
    let name = "model.layers.3.mlp.down_proj.weight"
    let original = try #require(source[name]).matrix(), stored = try #require(written[name])
    #expect(stored.storage.schemeName == "int4-g128")
    let scheme = try registry.scheme("int4-g128", modelType: .bf16)
    #expect(original.withPanel { scheme.roundTrip($0) } == stored.matrix().values)
    #expect(written["lm_head.weight"]?.storage.schemeName == "bf16")
  }

  @Test func aGGUFOfAnUnknownArchitectureConvertsWithoutAFamily() throws {
    _ = try convert(model, "f16.gguf") { $0.scheme = "f16" }
    // The same length, so that no offset changes.
    let bytes = readFile(folder.file("f16.gguf"))
    let text = String(decoding: bytes.prefix(4096), as: Unicode.ASCII.self)
    #expect(text.contains("llama"))
    var changed = bytes
    let needle = Array("general.architecture".utf8) + [8, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0] + Array("llama".utf8)
    let start = try #require((0..<4096).first { Array(changed[$0..<$0 + needle.count]) == needle })
    changed.replaceSubrange(start + needle.count - 5..<start + needle.count, with: Array("alien".utf8))
    writeFile(folder.file("alien.gguf"), changed)
    _ = try convert(folder.file("alien.gguf"), "alien-q8.gguf") { $0.scheme = "q8_0" }
    _ = try convert(folder.file("f16.gguf"), "f16-q8.gguf") { $0.scheme = "q8_0" }
    let opening = Opening(registry)
    let alien = try opening.open(folder.file("alien-q8.gguf")), known = try opening.open(folder.file("f16-q8.gguf"))
    #expect(alien.tensors.map(\.name) == known.tensors.map(\.name))
    #expect(alien.tensors.map { $0.storage.verbatim?.bytes } == known.tensors.map { $0.storage.verbatim?.bytes })
    #expect { try convert(folder.file("alien.gguf"), "x.gguf") { $0.methods = [(id: "awq", options: [:])] } } throws: {
      ($0 as? Failure)?.id == "model.architecture"
    }
  }

  @Test func roundingAgainNeedsPermission() throws {
    _ = try convert(model, "q8.gguf") { $0.scheme = "q8_0" }
    #expect { try convert(folder.file("q8.gguf"), "q4.gguf") { $0.scheme = "q4_0" } } throws: {
      ($0 as? Failure)?.id == "convert.requantize"
    }
    _ = try convert(folder.file("q8.gguf"), "q4.gguf") {
      $0.scheme = "q4_0"; $0.allowRequantize = true
    }
    _ = try convert(folder.file("q8.gguf"), "f16.gguf") { $0.scheme = "f16" }
  }

  @Test func tensorRulesReachTheirTensors() throws {
    let report = try convert(model, "ruled.gguf") {
      $0.scheme = "q4_0"
      $0.tensorRules = ["*.ffn_down.*=q6_k", "model.layers.0.*up_proj*=q8_0", "re:attn_(q|k)\\.=f16"]
    }
    let schemes = Dictionary(uniqueKeysWithValues: report.tensors.map { ($0.name, $0.scheme) })
    #expect(schemes["blk.7.ffn_down.weight"] == "q6_k")
    #expect(schemes["blk.0.ffn_up.weight"] == "q8_0" && schemes["blk.1.ffn_up.weight"] == "q4_0")
    #expect(schemes["blk.2.attn_k.weight"] == "f16" && schemes["blk.2.attn_v.weight"] == "q4_0")
  }

  @Test func aSchemeForAFolderLeavesEmbeddingsAndOutputAlone() throws {
    let outside = ["model.embed_tokens.weight", "lm_head.weight"]
    func schemes(_ output: String, _ change: (inout ConversionRequest) -> Void) throws -> [String: String] {
      Dictionary(uniqueKeysWithValues: try convert(model, output, change).tensors.map { ($0.name, $0.scheme) })
    }
    for isPure in [false, true] {
      let found = try schemes("plain-\(isPure)") {
        $0.scheme = "int4-g64"
        $0.isPure = isPure
      }
      #expect(found.filter { $0.value == "int4-g64" }.count == 8 * 7)
      #expect(outside.allSatisfy { found[$0] == "bf16" })
    }
    let asked = try schemes("asked") {
      $0.scheme = "int4-g64"
      $0.tensorRules = ["lm_head.weight=int4-g64"]
    }
    #expect(asked["lm_head.weight"] == "int4-g64")
    #expect { try schemes("table") { $0.tensorRules = ["model.embed_tokens.weight=int4-g64"] } } throws: {
      ($0 as? Failure)?.id == "hf.not-linear"
    }
  }

  @Test func aTypeForTheWholeModelHoldsForEveryTensorOfAFolder() throws {
    for (scheme, name) in [("f32", "float32"), ("f16", "float16"), ("bf16", "bfloat16")] {
      for isPure in [false, true] {
        let output = "\(scheme)-\(isPure)"
        let report = try convert(model, output) {
          $0.scheme = scheme
          $0.isPure = isPure
        }
        #expect(report.tensors.allSatisfy { $0.scheme == scheme })
        let made = try Opening(registry).open(folder.file(output))
        #expect(made.tensors.allSatisfy { $0.storage.schemeName == scheme } && made.tensors.count == 75)
        let configuration = try JSON.parse(ByteView(readFile(folder.file(output + "/config.json"))))
        #expect(configuration["torch_dtype"]?.stringValue == name)
      }
    }
    // A single safetensors file has its own default type, a tensor rule overrides the scheme, and a GGUF's vectors are F32.
    let alone = try convert(folder.file("f32-true"), "alone.safetensors")
    #expect(alone.tensors.allSatisfy { $0.scheme == "bf16" })
    let ruled = try convert(model, "ruled") {
      $0.scheme = "f16"
      $0.tensorRules = ["*norm.weight=f32"]
    }
    #expect(ruled.tensors.allSatisfy { $0.scheme == ($0.name.hasSuffix("norm.weight") ? "f32" : "f16") })
    let file = try convert(model, "half.gguf") { $0.scheme = "f16" }
    #expect(file.tensors.allSatisfy { $0.scheme == ($0.name.hasSuffix("norm.weight") ? "f32" : "f16") })
  }

  @Test func aConfigurationWithoutATypeSaysWhatWasWritten() throws {
    _ = try convert(model, "copy") { $0.scheme = "bf16" }
    let path = folder.file("copy/config.json")
    let lines = String(decoding: readFile(path), as: UTF8.self).split(separator: "\n").filter { !$0.contains("dtype") }
    writeFile(path, Array(lines.joined(separator: "\n").utf8))
    _ = try convert(folder.file("copy"), "single") { $0.scheme = "f32" }
    let configuration = try JSON.parse(ByteView(readFile(folder.file("single/config.json"))))
    #expect(configuration["torch_dtype"]?.stringValue == "float32")
  }

  @Test func anExistingOutputIsKeptWithoutForce() throws {
    writeFile(folder.file("there.gguf"), [1, 2, 3])
    #expect { try convert(model, "there.gguf") } throws: { ($0 as? Failure)?.kind == .cannotCreate }
    #expect(readFile(folder.file("there.gguf")) == [1, 2, 3])
  }

  @Test func impossibleRowLengthsAreRefusedInThePlan() throws {
    #expect { try convert(model, "x") { $0.scheme = "int4-g96" } } throws: { ($0 as? Failure)?.id == "scheme.row-length" }
    #expect { try convert(model, "x.gguf") { $0.scheme = "int4-g128" } } throws: { ($0 as? Failure)?.id == "packing.none" }
    #expect { try convert(model, "x.gguf") { $0.scheme = "fp8" } } throws: { ($0 as? Failure)?.id == "packing.none" }
    #expect { try convert(model, "x.gguf") { $0.scheme = "q4_k_n" } } throws: { ($0 as? Failure)?.id == "scheme.unknown" }
  }
}
