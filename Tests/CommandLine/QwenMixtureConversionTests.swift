import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Conversions of Qwen's mixtures of experts between formats.
@Suite struct QwenMixtureConversionTests {
  private let registry: Registry
  private let opening: Opening
  private let folder = TemporaryFolder()
  private let secondFolder = TemporaryFolder()

  init() throws {
    registry = try Registry(QConvert.builtIn)
    opening = Opening(registry)
  }

  private func request(_ input: String, _ output: String, _ scheme: String) -> ConversionRequest {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.scheme = scheme
    request.threads = 2
    return request
  }

  private func convert(_ input: String, _ output: String, scheme: String = "f32") throws -> Checkpoint {
    let request = request(input, output, scheme)
    try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return try opening.open(request.output)
  }

  private func expectSameTensors(_ a: Checkpoint, _ b: Checkpoint) {
    #expect(a.tensors.map(\.name).sorted() == b.tensors.map(\.name).sorted())
    for tensor in a.tensors {
      #expect(b[tensor.name]?.shape == tensor.shape && b[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)")
    }
  }

  @Test(arguments: ["qwen2-moe", "qwen3-moe"]) func theFolderOfAGGUFIsTheOneThatItWasMadeFrom(_ name: String) throws {
    let source = try opening.open(RandomModel.copy(name, into: folder))
    let stored = try convert(source.path, "model.gguf")
    #expect(stored["blk.1.ffn_gate_exps.weight"]?.shape == [4, 24, 32])
    let result = try convert(stored.path, "folder")
    expectSameTensors(source, result)
    let (described, original) = (try opening.describe(result), try opening.describe(source))
    #expect(described.family == name && described.head.isTied == original.head.isTied)
    #expect(
      described.blocks.map { $0.branches.map { AnyHashable($0.part) } } == original.blocks.map { $0.branches.map { AnyHashable($0.part) } })
  }

  @Test(arguments: [
    ("qwen2-moe-dense", "block 0 of this model has none"), ("qwen3-moe-dense", "block 0 of this model has none"),
  ]) func denseBlocksStayInFolders(_ name: String, _ reason: String) throws {
    let source = try opening.open(RandomModel.copy(name, into: folder))
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request(source.path, "model.gguf", "f32")) }
    #expect(failure?.id == "gguf.architecture" && failure?.kind == .unsupported && failure?.remedy?.description.contains("folder") == true)
    #expect(failure?.message.contains(reason) == true)
    expectSameTensors(source, try convert(source.path, "folder"))
  }

  /// Schemes for all linear layers leave the layers that choose and weigh experts alone.
  @Test(arguments: ["folder", "model.gguf"]) func routersAreNotQuantized(_ output: String) throws {
    let made = try convert(RandomModel.copy("qwen2-moe", into: folder), output, scheme: output == "folder" ? "int8-channel" : "q8_0")
    let model = try opening.describe(made)
    for block in 0..<2 {
      func isQuantized(_ role: TensorRole, _ expert: Int? = nil) throws -> Bool {
        let name = try #require(model.tensor(TensorID(role, block: block, expert: expert))?.name(made.naming))
        return try #require(made[name]).storage.codes != nil
      }
      #expect(try !isQuantized(.router) && !isQuantized(.sharedRouter))
      #expect(try isQuantized(.sharedGate) && isQuantized(.sharedUp) && isQuantized(.query))
      #expect(try isQuantized(.gate, 3) && isQuantized(.up, 0))
    }
  }

  /// A folder of the model in which the experts of a block are one tensor, gate above up, as transformers 5 stores them.
  private func stackedFolder(_ name: String) throws -> String {
    let path = try RandomModel.copy(name, into: secondFolder)
    let source = try opening.open(path)
    var tensors = source.tensors.filter { !$0.name.contains(".experts.") }.map { ($0.name, $0.shape, $0.matrix().values) }
    for block in 0..<2 {
      let prefix = "model.layers.\(block).mlp.experts."
      func values(_ expert: Int, _ name: String) throws -> [Float] {
        try #require(source["\(prefix)\(expert).\(name).weight"]).matrix().values
      }
      tensors.append((prefix + "gate_up_proj", [4, 48, 32], try (0..<4).flatMap { try values($0, "gate_proj") + values($0, "up_proj") }))
      tensors.append((prefix + "down_proj", [4, 32, 24], try (0..<4).flatMap { try values($0, "down_proj") }))
    }
    let type = source.tensors.first?.storage.elementType ?? .f32
    var header: [JSON.Member] = [], data: [UInt8] = []
    for (name, shape, values) in tensors {
      let bytes = NumberConversion.bytes(of: values, as: type)
      let offsets = JSON.array([.int(data.count), .int(data.count + bytes.count)])
      header.append(
        .init(
          name,
          .object([.init("dtype", .string(type.rawValue)), .init("shape", .array(shape.map { .int($0) })), .init("data_offsets", offsets)]))
      )
      data += bytes
    }
    let text = Array(JSON.object(header).text().utf8)
    writeFile(path + "/model.safetensors", withUnsafeBytes(of: UInt64(text.count).littleEndian) { [UInt8]($0) } + text + data)
    return path
  }

  @Test(arguments: ["qwen2-moe", "qwen3-moe"]) func stackedExpertsMakeTheSameGGUF(_ name: String) throws {
    let source = try opening.open(RandomModel.copy(name, into: folder))
    let stacked = try stackedFolder(name)
    expectSameTensors(try convert(source.path, "single.gguf"), try convert(stacked, "stacked.gguf"))
    let kept = try convert(stacked, "kept")
    expectSameTensors(try opening.open(stacked), kept)
    #expect(kept["model.layers.1.mlp.experts.gate_up_proj"]?.shape == [4, 48, 32])
  }

  /// Clients look for the codes of each expert alone.
  @Test(arguments: ["qwen2-moe", "qwen3-moe"]) func stackedExpertsBecomeTheCodesOfSingleOnes(_ name: String) throws {
    let source = try opening.open(RandomModel.copy(name, into: folder))
    let made = try convert(stackedFolder(name), "codes", scheme: "int8-channel")
    expectSameTensors(try convert(source.path, "single", scheme: "int8-channel"), made)
    #expect(made.tensors.filter { $0.name.contains(".experts.") }.allSatisfy { $0.storage.codes != nil })
  }
}
