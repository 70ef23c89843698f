import QuantCore
import Testing

@testable import GGUF

/// Scales that are stored as separate tensors beside the weights.
struct ScaledStorageTests {
  private func tensor(_ name: String, _ shape: [Int], _ values: [Float]) -> CheckpointTensor {
    CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.f32, ByteView(values.withUnsafeBytes { [UInt8]($0) })))
  }

  @Test func aScaleMultipliesItsWeights() throws {
    let tensors = ScaledStorage.folding([
      tensor("blk.0.a.weight", [2, 2], [1, 2, 3, 4]), tensor("blk.0.a.scale", [1], [0.5]),
      tensor("blk.0.b_exps.weight", [2, 2, 1], [1, 2, 3, 4]), tensor("blk.0.b_exps.scale", [2], [10, 100]),
      // Not the scale of a matrix: wrong count, no weight, a vector.
      tensor("blk.0.c.weight", [2, 1], [1, 2]), tensor("blk.0.c.scale", [2], [3, 3]),
      tensor("layer_output.scale", [1], [7]),
      tensor("blk.0.d.weight", [1], [1]), tensor("blk.0.d.scale", [1], [2]),
    ])
    #expect(
      tensors.map(\.name) == [
        "blk.0.a.weight", "blk.0.b_exps.weight", "blk.0.c.weight", "blk.0.c.scale", "layer_output.scale", "blk.0.d.weight", "blk.0.d.scale",
      ])
    #expect(tensors[0].matrix().values == [0.5, 1, 1.5, 2])
    #expect(tensors[1].matrix().values == [10, 20, 300, 400])
    #expect(tensors[2].matrix().values == [1, 2])
    // Copying only the weights would lose the scale.
    #expect(tensors[0].storage.verbatim == nil && tensors[0].storage.byteCount == 20)
    var last = [Float](repeating: 0, count: 2)
    last.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { tensors[1].decode(rows: 2..<4, into: base) } }
    #expect(last == [300, 400])
  }
}
