import Foundation
import QuantCore
import ShelfPlugin
import Testing

/// A file with some bytes that goes away with the value.
private final class File {
  let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).shelf").path()
  init(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The bytes that `layout` asks for, for two tensors of the numbers 1, 2, … and 0.5.
private func written() throws -> (bytes: [UInt8], source: Checkpoint) {
  func tensor(_ name: String, _ shape: [Int], _ values: [Float]) -> CheckpointTensor {
    CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.f16, ByteView(NumberConversion.bytes(of: values, as: .f16))))
  }
  let configuration = JSON.object([.init("architectures", .array([.string("LlamaForCausalLM")]))])
  let source = Checkpoint(
    path: "source", format: "test", tensors: [tensor("a.weight", [3, 2], [1, 2, 3, 4, 5, 6]), tensor("b.weight", [2], [0.5, 0.5])],
    naming: ShelfFormat.naming, configuration: Configuration(configuration, architecture: "LlamaForCausalLM"), files: [])
  let scheme = FloatScheme.f16, packing = PlainPacking()
  let planned = source.tensors.map { tensor in
    PlannedTensor(
      sourceName: tensor.name, name: tensor.name, shape: tensor.shape, scheme: scheme, packing: packing,
      parts: packing.parts(name: tensor.name, shape: tensor.shape, scheme: scheme), note: nil, isCopy: true)
  }
  let layout = try ShelfFormat.layout(
    OutputRequest(source: source, model: nil, tokenizer: nil, tensors: planned, presetName: "f16", provenance: [], targetName: "out"))
  var bytes = [UInt8](repeating: 0, count: layout.totalSize)
  func write(_ stored: [UInt8], at offset: Int) { bytes.replaceSubrange(offset..<offset + stored.count, with: stored) }
  for literal in layout.files[0].literals { write(literal.bytes, at: literal.offset) }
  for place in layout.placements {
    write(source.tensors[place.tensor].storage.verbatim?.bytes ?? [], at: place.offset)
  }
  return (bytes, source)
}

@Test func whatIsLaidOutIsReadAgain() throws {
  let (bytes, source) = try written()
  let file = try File(bytes)
  #expect(ShelfFormat.recognises(file.path))
  let read = try ShelfFormat.open(file.path, options: OpenOptions())
  #expect(read.configuration?.architecture == "LlamaForCausalLM")
  #expect(read.tensors.map(\.name) == source.tensors.map(\.name))
  for (tensor, expected) in zip(read.tensors, source.tensors) { #expect(tensor.hasSameContent(as: expected)) }
}

@Test func brokenFilesAreRefused() throws {
  let (bytes, _) = try written()
  let text = String(decoding: bytes, as: UTF8.self)
  let negative = Array(text.replacing("\"shape\":[3,2]", with: "\"shape\":[-3,2]").utf8)
  let enormous = Array(text.replacing("\"shape\":[3,2]", with: "\"shape\":[9223372036854775807,2]").utf8)
  for broken in [Array(bytes.prefix(bytes.count - 200)), Array("SHELF 2\n".utf8), [], negative, enormous] {
    let file = try File(broken)
    #expect(throws: Failure.self) { try ShelfFormat.open(file.path, options: OpenOptions()) }
  }
}
