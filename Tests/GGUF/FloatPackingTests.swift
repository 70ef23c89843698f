import CBlocks
import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// MXFP4 and NVFP4 by the rules of other projects, in GGUF blocks.
struct FloatPackingTests {
  private let packing = GGUFFloatPacking()

  private func weights(rows: Int, columns: Int) -> Matrix {
    var random = BlockSamples.Generator(state: 5)
    return Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in random.gaussian() * 0.02 })
  }

  @Test(arguments: ["mxfp4", "nvfp4"]) func aReaderOfBlocksFindsTheValuesOfTheScheme(name: String) throws {
    let asked = try #require(MicroscalingSchemes.scheme(named: name, modelType: .bf16))
    let matrix = weights(rows: 5, columns: 192)
    let scheme = packing.stored(asked).fittedToTensor(largestMagnitude: matrix.values.reduce(0) { max($0, $1.magnitude) })
    #expect(packing.holds(scheme.grid) && packing.holds(asked.grid) == (name == "mxfp4"))
    var panel = scheme.emptyPanel(rows: 5, columns: 192)
    matrix.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    let parts = packing.parts(name: "blk.0.ffn_up.weight", shape: [5, 192], scheme: scheme)
    let bytes = packing.pack(panel, rows: 0..<5, of: [5, 192], scheme: scheme)
    #expect(parts.map(\.byteCount) == bytes.map(\.count))
    let type = try #require(BlockType.named(name))
    let storage = BlockStorage(type, ByteView(bytes[0]))
    var tensors = [CheckpointTensor(name: parts[0].name, shape: parts[0].shape, storage: storage)]
    if name == "nvfp4" {
      #expect(parts[1].name == "blk.0.ffn_up.scale" && parts[1].shape == [1])
      tensors.append(CheckpointTensor(name: parts[1].name, shape: [1], storage: PlainStorage(.f32, ByteView(bytes[1]))))
    }
    let read = ScaledStorage.folding(tensors)
    #expect(read.count == 1)
    for (found, expected) in zip(read[0].matrix().values, scheme.values(panel)) {
      // A client multiplies by both scales, one after the other.
      #expect((found - expected).magnitude <= 2e-7 * expected.magnitude)
    }
    // Codes and scales come back unchanged, on the scheme's own grid.
    let codes = try #require(read[0].storage.codes)
    #expect(codes.scheme.grid == scheme.grid && read[0].storage.schemeName == name)
    #expect(codes.panel(rows: 0..<5, rowLength: 192) == panel)
    var part = scheme.emptyPanel(rows: 2, columns: 192)
    part.codes = Array(panel.codes[2 * 192..<4 * 192])
    #expect(codes.panel(rows: 2..<4, rowLength: 192).codes == part.codes)
  }

  @Test func stackedExpertsHaveAScaleEach() throws {
    let asked = try #require(MicroscalingSchemes.scheme(named: "nvfp4", modelType: .bf16))
    let scheme = packing.stored(asked).fittedToTensor(largestMagnitude: 3)
    let parts = packing.parts(name: "blk.0.ffn_up_exps.weight", shape: [4, 2, 64], scheme: scheme)
    #expect(parts.map(\.name) == ["blk.0.ffn_up_exps.weight", "blk.0.ffn_up_exps.scale"])
    #expect(parts[1].shape == [4])
    var panel = scheme.emptyPanel(rows: 8, columns: 64)
    weights(rows: 8, columns: 64).withPanel { scheme.encode($0, importance: nil, into: &panel) }
    let first = packing.pack(panel, rows: 0..<8, of: [4, 2, 64], scheme: scheme)
    let later = packing.pack(panel, rows: 2..<8, of: [4, 2, 64], scheme: scheme)
    #expect(first[1].count == 16 && later[1].isEmpty)
  }

  @Test func rowsThatBlocksDoNotDivideAreRefused() throws {
    let nvfp4 = packing.stored(try #require(MicroscalingSchemes.scheme(named: "nvfp4", modelType: .bf16)))
    #expect(packing.obstacle(shape: [2, 80], scheme: nvfp4) == "rows are not a multiple of 64")
    #expect(packing.obstacle(shape: [2, 128], scheme: nvfp4) == nil)
    #expect(!packing.holds(try #require(MicroscalingSchemes.scheme(named: "mxfp8", modelType: .bf16)).grid))
  }

  /// llama.cpp refuses a file with a scale beside its embedding.
  @Test func anEmbeddingGetsNoScaleOfItsOwn() {
    func quantizes(_ name: String, _ scheme: String) -> Bool {
      let tensor = PresetTensor(name: name, shape: [512, 64], isQuantizable: true, id: nil)
      return GGUFFormat.quantizes(tensor, as: MicroscalingSchemes.scheme(named: scheme, modelType: .bf16), model: nil)
    }
    #expect(!quantizes("token_embd.weight", "nvfp4") && quantizes("output.weight", "nvfp4") && quantizes("token_embd.weight", "mxfp4"))
  }

  @Test func groupsOfAnotherRuleBecomeBlocksWithoutRounding() throws {
    let source = try #require(MicroscalingSchemes.scheme(named: "mxfp4", modelType: .bf16))
    let blocks = try #require(GGUFBlocks.scheme(named: "mxfp4-ggml", modelType: .bf16))
    let matrix = weights(rows: 3, columns: 64)
    var panel = source.emptyPanel(rows: 3, columns: 64)
    matrix.withPanel { source.encode($0, importance: nil, into: &panel) }
    let repacking = try #require(blocks.repacking(of: source))
    #expect(repacking.fidelity == .exact)
    #expect(blocks.values(repacking.translate(panel)) == source.values(panel))
    #expect(GGUFBlocks.scheme(named: "nvfp4-ggml", modelType: .bf16)?.repacking(of: source) == nil)
  }

  /// Every scale that a block can have, except for the two that are not finite there: they do not change under a scale of 1.
  @Test(arguments: [Grid.GlobalScale.factor, .divisor]) func blocksWithoutAScaleOfTheTensorAreGroupsUnderAScaleOfOne(
    _ meaning: Grid.GlobalScale
  ) throws {
    var random = BlockSamples.Generator(state: 11)
    let rows = 126 / 2
    var bytes: [UInt8] = []
    for block in 0..<2 * rows {
      bytes += (0..<4).map { UInt8((block * 4 + $0) % 0x7F) } + (0..<32).map { _ in UInt8(random.uniform() * 255) }
    }
    let storage = BlockStorage(.nvfp4, ByteView(bytes))
    let codes = try #require(storage.codes)
    let target = NVFP4Scheme(meaning, modelType: .f32)
    let move = try #require(target.move(from: codes.scheme))
    #expect(move.fidelity == .exact && target.repacking(of: codes.scheme) == nil)
    let moved = move.translate(codes.panel(rows: 0..<rows, rowLength: 128))
    let stored = CheckpointTensor(name: "x.weight", shape: [rows, 128], storage: storage).matrix().values
    #expect(zip(target.values(moved), stored).allSatisfy { $0 == $1 })
    #expect(stride(from: 1, to: moved.parameters.count, by: 2).allSatisfy { moved.parameters[$0] == 1 })
  }
}
