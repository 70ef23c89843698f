import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Conversions that drop blocks of a model.
@Suite struct BlockRemovalTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")
  /// The model has 8 blocks.
  private let dropped = [5, 2, 5]
  private let left = [0, 1, 3, 4, 6, 7]

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func convert(_ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> Checkpoint {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.threads = 2
    change(&request)
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return try Opening(registry).open(request.output)
  }

  private func failure(_ change: (inout ConversionRequest) -> Void) -> Failure? {
    #expect(throws: Failure.self) { try convert(model, "refused.gguf", change) }
  }

  /// The name that a tensor had before blocks were dropped.
  private func original(_ name: String, _ section: String) -> String {
    var words = name.split(separator: ".").map { String($0) }
    guard let word = words.firstIndex(of: section), let block = Int(words[word + 1]) else { return name }
    words[word + 1] = "\(left[block])"
    return words.joined(separator: ".")
  }

  @Test func aFolderKeepsTheBytesOfTheBlocksThatStay() throws {
    let source = try Opening(registry).open(model)
    let result = try convert(model, "out") {
      $0.scheme = "bf16"
      $0.droppedBlocks = dropped
    }
    #expect(result.tensors.count == source.tensors.count - 2 * 9)
    for tensor in result.tensors {
      let before = try #require(source[original(tensor.name, "layers")])
      let renamed = CheckpointTensor(name: tensor.name, shape: before.shape, storage: before.storage)
      #expect(tensor.hasSameContent(as: renamed), "\(tensor.name)")
    }
    let described = try Opening(registry).describe(result)
    #expect(described.blocks.count == 6)
    guard let json = result.configuration?.json else {
      Issue.record("no configuration")
      return
    }
    #expect(json["num_hidden_layers"] == .int(6) && json["hidden_size"] == .int(256))
  }

  /// Blocks are dropped while a folder becomes a GGUF, or afterwards.
  @Test func theWayThroughAGGUFChangesNothing() throws {
    let direct = try convert(model, "direct.gguf") {
      $0.scheme = "q4_k_m"
      $0.droppedBlocks = dropped
    }
    _ = try convert(model, "whole.gguf") { $0.scheme = "bf16" }
    let second = try convert(folder.file("whole.gguf"), "second.gguf") {
      $0.scheme = "q4_k_m"
      $0.droppedBlocks = dropped
    }
    #expect(direct.metadata["llama.block_count"] == .u32(6) && second.metadata["llama.block_count"] == .u32(6))
    #expect(direct.tensors.map(\.name).sorted() == second.tensors.map(\.name).sorted())
    for tensor in direct.tensors { #expect(second[tensor.name].map { tensor.hasSameContent(as: $0) } == true, "\(tensor.name)") }
  }

  @Test func listsAndCountsByBlockAreCut() throws {
    _ = try convert(model, "edited.gguf") {
      $0.scheme = "q8_0"
      $0.metadataValues = [
        "llama.feed_forward_length=u32[]:[768,768,768,768,768,768,768,768]", "llama.leading_dense_block_count=u32:3",
        "llama.rope.dimension_sections=i32[]:[1,2,3,4,5,6,7,8]", "general.tags=str[]:[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]",
      ]
      $0.droppedMetadata = ["llama.feed_forward_length"]
    }
    let result = try convert(folder.file("edited.gguf"), "out.gguf") { $0.droppedBlocks = dropped }
    #expect(result.metadata["llama.feed_forward_length"] == .u32s([UInt32](repeating: 768, count: 6)))
    #expect(result.metadata["llama.leading_dense_block_count"] == .u32(2))
    #expect(result.metadata["llama.rope.dimension_sections"] == .i32s([1, 2, 3, 4, 5, 6, 7, 8]))
    #expect(result.metadata["general.tags"] == .strings(["a", "b", "c", "d", "e", "f", "g", "h"]))
  }

  /// A block is weighed by the importance that was stored under its old number.
  @Test func importanceFollowsItsBlock() throws {
    var entries: [String: Importance.Entry] = [:]
    for block in 0..<8 {
      let squares = (0..<256).map { Float(($0 * (block + 3)) % 17) }
      entries["blk.\(block).attn_k.weight"] = .init(meanSquares: squares, tokens: [64])
    }
    let bytes = try #require(registry.importanceFormats.first).bytes(Importance(entries: entries))
    writeFile(folder.file("im.gguf"), bytes)
    func weighed(_ output: String, _ blocks: [Int]) throws -> Checkpoint {
      try convert(model, output) {
        $0.scheme = "q4_0"
        $0.isPure = true
        $0.importancePath = folder.file("im.gguf")
        $0.droppedBlocks = blocks
      }
    }
    let whole = try weighed("whole.gguf", []), cut = try weighed("cut.gguf", dropped)
    for tensor in cut.tensors {
      let before = try #require(whole[original(tensor.name, "blk")])
      #expect(tensor.matrix() == before.matrix(), "\(tensor.name)")
    }
  }

  @Test func theConfigurationOfALanguageModelBesideAVisionTowerIsEdited() throws {
    var edited = try EditedFolder(RandomModel.copy("gemma3", into: folder))
    let text = edited.configuration
    for member in text.objectValue ?? [] where member.key != "architectures" { edited.set(member.key, to: nil) }
    edited.set("architectures", to: .array([.string("Gemma3ForConditionalGeneration")]))
    edited.set("model_type", to: .string("gemma3"))
    edited.set("text_config", to: text)
    edited.save()
    let result = try convert(edited.path, "nested") {
      $0.scheme = "bf16"
      $0.droppedBlocks = [1]
    }
    let inner = try #require(result.configuration?.json?["text_config"])
    let kinds = try #require(text["layer_types"]?.arrayValue)
    #expect(inner["num_hidden_layers"] == .int(kinds.count - 1))
    #expect(inner["layer_types"] == .array([kinds[0]] + kinds[2...]))
    #expect(try Opening(registry).describe(result).blocks.count == kinds.count - 1)
  }

  @Test func blocksThatOthersCountOnStay() throws {
    let shared = try RandomModel.copy("gemma4", into: folder)
    let failure = #expect(throws: Failure.self) {
      try convert(shared, "shared") {
        $0.scheme = "bf16"
        $0.droppedBlocks = [1]
      }
    }
    #expect(failure?.id == "blocks.shared")
  }

  @Test func blocksThatAreNotThereAreNamed() {
    #expect(failure { $0.droppedBlocks = [8] }?.message == "the model has no block 8")
    #expect(failure { $0.droppedBlocks = [8] }?.remedy == "Give numbers from 0 to 7.")
    #expect(failure { $0.droppedBlocks = Array(0..<8) }?.id == "blocks.number")
    let adapter = AdapterRequest(path: SharedData.fixture("adapters/llama"))
    #expect(failure { ($0.droppedBlocks, $0.adapters) = ([1], [adapter]) }?.kind == .usage)
  }
}
