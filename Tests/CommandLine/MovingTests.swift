import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Quantized checkpoints that are converted between formats and packings.
@Suite struct MovingTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func compare(_ first: String, _ second: String) throws -> Comparison {
    let opening = Opening(registry)
    return try Comparison(opening.open(first), opening.open(second), opening: opening, threads: 2)
  }

  /// The type, shape and bytes of each stored tensor of a folder, by name.
  private func weights(_ path: String) throws -> [String: [UInt8]] {
    let bytes = try Files.read(path + "/model.safetensors", maximumBytes: 1 << 28)
    let start = 8 + bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSON.parse(ByteView(Array(bytes[8..<start])), .strict)
    var weights: [String: [UInt8]] = [:]
    for member in header.objectValue ?? [] where member.key != "__metadata__" {
      let places = (member.value["data_offsets"]?.arrayValue ?? []).compactMap(\.intValue)
      try #require(places.count == 2)
      let kind = (member.value["dtype"]?.text() ?? "") + (member.value["shape"]?.text() ?? "")
      weights[member.key] = Array(kind.utf8) + bytes[start + places[0]..<start + places[1]]
    }
    return weights
  }

  @Test(arguments: ["int4-g32", "int4-g32-asym", "int8-channel", "fp8-channel", "w8a8-static", "fp8-static", "nf4", "fp4-g128", "llm-int8"])
  func aQuantizedFolderIsKeptToTheByte(scheme: String) throws {
    let first = try convert(model, "first") {
      $0.scheme = scheme
      if scheme == "fp8-static" { $0.keyValueCache = "fp8" }
    }
    let second = try convert(first, "second")
    #expect(try weights(first) == weights(second))
    let comparison = try compare(first, second)
    #expect(comparison.holds && comparison.tensors.allSatisfy { $0.verdict == .equal })
    let opening = Opening(registry)
    let records = (try opening.open(first).activations, try opening.open(second).activations)
    #expect(records.0 == records.1)
  }

  @Test func blocksOfGGUFAreKeptToTheByte() throws {
    let first = try convert(model, "first.gguf") { $0.scheme = "q4_k_m" }
    let second = try convert(first, "second.gguf")
    let opened = (try Opening(registry).open(first), try Opening(registry).open(second))
    for tensor in opened.0.tensors { #expect(opened.1[tensor.name]?.hasSameContent(as: tensor) == true, "\(tensor.name)") }
  }

  @Test func anotherPackingHoldsTheSameNumbers() throws {
    let first = try convert(model, "first") { $0.scheme = "int4-g32" }
    let second = try convert(first, "second") { $0.packing = "int-quantized" }
    let comparison = try compare(first, second)
    #expect(comparison.holds)
    #expect(comparison.tensors.filter { $0.verdict == .repacked }.count == 56)
    let notes = Set(try plan(first, "third") { $0.packing = "int-quantized" }.tensors.filter { $0.repacking != nil }.compactMap(\.note))
    #expect(notes == ["re-packed"])
  }

  @Test func nestedMagnitudesBecomePlainOnes() throws {
    let golden = Golden.cut("bnb-nf4-double")
    let second = try convert(golden, "second")
    let comparison = try compare(golden, second)
    #expect(comparison.holds && comparison.tensors.count == 21)
  }

  @Test func rowsOfBytesMoveIntoBitsAndBytes() throws {
    let first = try convert(model, "first") { $0.scheme = "int8-channel" }
    let second = try plan(first, "second") { $0.scheme = "llm-int8" }
    #expect(second.tensors.filter { $0.note == "re-packed, scale rounded" }.count == 56)
    #expect(failure(first, "third") { $0.scheme = "nf4" }?.id == "convert.requantize")
  }

  @Test func anotherGridNeedsAnotherRounding() throws {
    let first = try convert(model, "first") { $0.scheme = "int4-g32" }
    #expect(failure(first, "second") { $0.scheme = "int8-g64-asym" }?.id == "convert.requantize")
    let plan = try plan(first, "second") {
      $0.scheme = "int8-g64-asym"
      $0.allowRequantize = true
    }
    #expect(plan.tensors.filter { $0.note == "re-quantized" }.count == 56)
  }

  @Test func aMethodRoundsAgainOnlyWhereItIsAllowed() throws {
    let first = try convert(model, "first") { $0.scheme = "int4-g32" }
    let methods: [(id: String, options: [String: String])] = [("gptq", [:])]
    #expect(
      failure(first, "second") {
        $0.methods = methods
        $0.scheme = "int4-g32"
      }?.id == "convert.requantize")
  }

  @Test func differencesAreFound() throws {
    let first = try convert(model, "first") { $0.scheme = "int4-g32" }
    let comparison = try compare(model, first)
    #expect(!comparison.holds)
    let changed = comparison.tensors.filter { $0.verdict == .different }
    #expect(changed.count == 56)
    for tensor in changed {
      let error = try #require(tensor.relativeError), cosine = try #require(tensor.cosine)
      #expect(error > 0.01 && error < 0.2 && cosine > 0.98 && cosine < 1)
    }
    // The same model in another format, under other names and in another order of rows.
    let gguf = try convert(model, "model.gguf") { $0.scheme = "bf16" }
    #expect(try compare(model, gguf).holds)
  }

  @Test func clientsPickPackingsAndRefuse() throws {
    let packed = try plan(model, "folder") {
      $0.client = "vllm@0.11"
      $0.scheme = "int4-g32"
    }
    #expect(packed.tensors.contains { type(of: $0.packing).id == "pack-quantized" })
    #expect(failure(model, "model.gguf") { $0.client = "vllm" }?.id == "client.format")
    #expect(failure(model, "folder") { $0.client = "llama.cpp" }?.id == "client.format")
    #expect(failure(model, "folder") { $0.client = "vlm" }?.id == "client.unknown")
    #expect(failure(model, "folder") { $0.client = "vllm@new" }?.id == "client.version")
    #expect(failure(model, "folder") { $0.packing = "pack" }?.id == "packing.unknown")
    #expect(failure(model, "folder") { $0.packing = "gguf" }?.id == "packing.format")
  }

  /// What a scheme without a container means is stored only if a person asks for it, and is what the scheme rounds to.
  @Test func schemesWithoutAContainerAreStoredAsTheirValues() throws {
    let refusal = failure(model, "folder") { $0.scheme = "e3m0-g32-ratio" }
    #expect(refusal?.id == "packing.none" && refusal?.remedy?.description.contains("'packing' values") == true)
    let name = "model.layers.1.mlp.up_proj.weight"
    let matrix = try #require(try Opening(registry).open(model)[name]).matrix()
    for scheme in ["e3m0-g32-ratio", "e2m1-g64", "fp8-g32-e8m0"] {
      let out = try convert(model, scheme) {
        $0.scheme = scheme
        $0.packing = "values"
      }
      let rounded = try #require(try Opening(registry).open(out)[name])
      #expect(rounded.storage.schemeName == "f32")
      let rule = try registry.scheme(scheme, modelType: .bf16).fittedToTensor(largestMagnitude: matrix.values.map { abs($0) }.max() ?? 0)
      #expect(rounded.matrix().values == matrix.withPanel { rule.roundTrip($0) }, "\(scheme)")
    }
  }

  @Test func floatsInGroupsAreKnownToSomeClients() throws {
    for (client, packing) in [("vllm", "mxfp4-pack-quantized"), ("transformers", "mxfp4-pack-quantized")] {
      let packed = try plan(model, "folder") {
        $0.client = client
        $0.scheme = "zeroquant-fp-w4a8"
      }
      let layers = packed.tensors.filter { $0.scheme.name == "e2m1-g32-e8m0" }
      #expect(layers.count == 56 && layers.allSatisfy { type(of: $0.packing).id == packing && $0.activations == .fp8Token })
    }
    let refusal = failure(model, "folder") {
      $0.client = "vllm"
      $0.scheme = "zeroquant-fp-w8a8"
    }
    #expect(refusal?.id == "client.refuses" && refusal?.message.contains("groups of columns") == true)
    // In a GGUF, the same grid is stored as blocks of MXFP4.
    let file = try convert(model, "fp4.gguf") { $0.scheme = "e2m1-g32-e8m0" }
    #expect(try Opening(registry).open(file)["blk.1.ffn_up.weight"]?.storage.schemeName == "mxfp4")
  }

  /// transformers reads a single scheme from GPTQ's configuration and assumes that exactly the layers of blocks are packed; vLLM does
  /// not.
  @Test func clientsRefuseFoldersAsAWhole() throws {
    let head = "lm_head.weight=bf16"
    for (rules, culprit) in [
      (["lm_head.weight=int4-g32"], "lm_head"), ([head, "*layers.1.mlp.up_proj.*=bf16"], "model.layers.1.mlp.up_proj"),
      ([head, "*layers.1.mlp.up_proj.*=int8-g32"], "one scheme"),
    ] {
      let asked: (inout ConversionRequest) -> Void = {
        $0.packing = "gptq"
        $0.scheme = "int4-g32"
        $0.tensorRules = rules
        $0.client = "transformers"
      }
      let found = failure(model, "folder", asked)
      #expect(found?.id == "client.refuses" && found?.message.contains(culprit) == true, "\(rules)")
      _ = try plan(model, "folder") {
        asked(&$0)
        $0.client = "vllm"
      }
    }
    // Zero points: GPTQModel reads them in both versions, vLLM 0.32 does not support them.
    for client in ["transformers", "gptqmodel"] {
      _ = try plan(model, "folder") {
        $0.packing = "gptq"
        $0.scheme = "int4-g32-asym"
        $0.client = client
      }
    }
    for (client, scheme) in [("vllm", "int4-g32-asym"), ("vllm@0.11", "int4-g32")] {
      let found = failure(model, "folder") {
        $0.packing = "gptq_v2"
        $0.scheme = scheme
        $0.client = client
      }
      #expect(found?.id == "client.refuses", "\(client) \(scheme)")
    }
    _ = try plan(model, "folder") {
      $0.packing = "gptq_v2"
      $0.scheme = "int4-g32"
      $0.client = "vllm"
    }
  }

  @Test func versionsAreComparedByTheirNumbers() throws {
    let versions: [ClientVersion] = ["0.9", "0.11", "0.32", "1", "1.2.1"]
    #expect(versions.sorted() == versions && versions[3] == "1.0" && ClientVersion("1.0") == "1")
    for text in ["", "1.x", "1..2"] { #expect(ClientVersion(text) == nil, "\(text)") }
  }
}
