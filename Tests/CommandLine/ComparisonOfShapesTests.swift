import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

/// Across formats, the configuration determines the place of each tensor. A tensor of another shape is a failure, not a read of
/// unrelated memory.
@Suite struct ComparisonOfShapesTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func failure(comparing first: String, _ second: String) -> Failure? {
    let opening = Opening(registry)
    return #expect(throws: Failure.self) {
      try Comparison(opening.open(first), opening.open(second), opening: opening, threads: 2)
    }
  }

  private static let layer = "model.layers.1.self_attn.q_proj.weight", norm = "model.layers.0.input_layernorm.weight"

  @Test(arguments: [
    (layer, [32, 4096]), (layer, [32, 64]), (layer, [32, 16]), (layer, [64, 32]), (layer, [16, 32]), (layer, [4, 32, 32]), (layer, [1024]),
    (norm, [4096]), (norm, [16]), (norm, [1]), (norm, [1, 32]), (norm, [32, 2]),
  ])
  func aFolderWithAnotherShapeIsRefused(_ name: String, _ shape: [Int]) throws {
    let source = try RandomModel.copy("qwen2", into: folder)
    let gguf = try convert(source, "model.gguf") { $0.scheme = "bf16" }
    var edited = try EditedFolder(source)
    edited.change(name) { tensor in
      let size = tensor.bytes.count / tensor.shape.reduce(1, *)
      tensor.shape = shape
      tensor.bytes = [UInt8](repeating: 0, count: shape.reduce(1, *) * size)
    }
    edited.save()
    for failure in [failure(comparing: source, gguf), failure(comparing: gguf, source)] {
      #expect(failure?.id == "model.tensor-shape" && failure?.kind == .data && failure?.tensor == name && failure?.file == source)
      #expect(failure?.message.contains("\(shape)") == true)
    }
    let capture = Capture()
    #expect(QConvert.run(["compare", source, gguf], plugins: QConvert.builtIn, console: capture.console()) == 65)
    #expect(capture.error.contains("[model.tensor-shape]") && capture.output.isEmpty)
  }

  /// Keys of a file that do not fit its tensors.
  @Test(arguments: [("feed_forward_length", 24), ("feed_forward_length", 96), ("embedding_length", 16), ("embedding_length", 64)])
  func aFileWithOtherKeysIsRefused(_ key: String, _ value: UInt32) throws {
    let source = try RandomModel.copy("qwen2", into: folder)
    let gguf = try convert(source, "model.gguf") {
      $0.scheme = "bf16"
      $0.metadataValues = ["qwen2.attention.key_length=u32:8", "qwen2.attention.value_length=u32:8"]
    }
    var bytes = readFile(gguf)
    // The key, then the number of its type, then the value.
    let pattern = Array("qwen2.\(key)".utf8) + [4, 0, 0, 0]
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: pattern) }) + pattern.count
    bytes.replaceSubrange(place..<place + 4, with: withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) })
    writeFile(gguf, bytes)
    for failure in [failure(comparing: source, gguf), failure(comparing: gguf, source)] {
      #expect(failure?.id == "model.tensor-shape" && failure?.file == gguf, "\(String(describing: failure))")
    }
  }

  /// Within one format only names are matched, and a tensor of another shape counts as different.
  @Test func withinOneContainerAnotherShapeIsADifference() throws {
    let source = try RandomModel.copy("qwen2", into: folder)
    let other = TemporaryFolder()
    var edited = try EditedFolder(RandomModel.copy("qwen2", into: other))
    edited.change(Self.layer) { $0.shape = [16, 64] }
    edited.save()
    let opening = Opening(registry)
    let comparison = try Comparison(opening.open(source), opening.open(edited.path), opening: opening, threads: 2)
    #expect(comparison.tensors.filter { $0.verdict != .equal }.map(\.name) == [Self.layer])
    #expect(comparison.tensors.first { $0.name == Self.layer }?.verdict == .different)
  }
}
