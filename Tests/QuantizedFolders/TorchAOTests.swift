import QuantCore
import TestSupport
import Testing
import TorchAO

/// Flattened layers of torchao.
@Suite struct TorchAOTests {
  private let configuration = JSON.object([.init("quant_method", .string("torchao"))])

  private func tensor(_ name: String, _ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) -> CheckpointTensor {
    CheckpointTensor(name: "model.x._weight_" + name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
  }

  private func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
  }

  private let codes: [UInt8] = [1, 2, 255, 128, 127, 0, 3, 4]

  /// A layer of 2 × 4 weights.
  private func layer(_ scales: [Float] = [0.5, 2]) -> [CheckpointTensor] {
    [
      tensor("qdata", .i8, [2, 4], codes), tensor("scale", .f32, [2, scales.count / 2], floats(scales)),
      tensor("zero_point", .i8, [2, scales.count / 2], [UInt8](repeating: 0, count: scales.count)),
    ]
  }

  private func metadata(_ text: String?) -> KeyValues {
    var values = KeyValues()
    values["model.x.weight"] = text.map { .string($0) }
    return values
  }

  private func description(_ block: String, _ kind: String = "Int8Tensor") -> String {
    #"{"_type": "\#(kind)", "_data": {"block_size": \#(block)}}"#
  }

  @Test func rowsAndBlocksAreRead() throws {
    let rows = try #require(
      try TorchAO().unpack(configuration: configuration, stored: layer(), metadata: metadata(description("[1, 4]"))))
    #expect(rows.map(\.name) == ["model.x.weight"] && rows[0].storage.schemeName == "int8-channel")
    #expect(rows[0].matrix().values == [0.5, 1, -0.5, -64, 254, 0, 6, 8])
    let blocks = try #require(
      try TorchAO().unpack(configuration: configuration, stored: layer([0.5, 1, 2, 4]), metadata: metadata(description("[1, 2]"))))
    #expect(blocks[0].matrix().values == [0.5, 1, -1, -128, 254, 0, 12, 16])
    #expect(blocks[0].storage.codes?.scheme.grid.groupLength == 2)
  }

  private func id(_ stored: [CheckpointTensor], _ text: String?) -> String? {
    do {
      _ = try TorchAO().unpack(configuration: configuration, stored: stored, metadata: metadata(text))
      return nil
    } catch {
      #expect((error as? Failure)?.tensor == "model.x.weight")
      return (error as? Failure)?.id
    }
  }

  @Test func damagedLayersAreRefused() {
    let good = description("[1, 4]")
    #expect(id(layer(), good) == nil)
    for text in [nil, "", "[", "{\"_type\": 1}{"] { #expect(id(layer(), text) == "ao.metadata") }
    for text in [
      description("[1, 4]", "Int4Tensor"), description("[2, 4]"), description("[1, 0]"), description("[4]"), description("\"x\""), "{}",
    ] {
      #expect(id(layer(), text) == "ao.class", "\(text)")
    }
    #expect(id(layer(), description("[1, 3]")) == "ao.codes")
    #expect(id(layer(), description("[1, 2]")) == "ao.scales")
    #expect(id(Array(layer().dropFirst()), good) == "ao.codes")
    #expect(id([layer()[0], layer()[2]], good) == "ao.scales")
    #expect(id([tensor("qdata", .u8, [2, 4], codes)] + layer().dropFirst(), good) == "ao.codes")
    #expect(id([tensor("qdata", .i8, [0, 4], [])] + layer().dropFirst(), good) == "ao.codes")
    #expect(id(Array(layer().dropLast()) + [tensor("zero_point", .i8, [2, 1], [0, 1])], good) == "ao.zero-points")
  }
}
