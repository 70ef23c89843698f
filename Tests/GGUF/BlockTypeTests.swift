import CBlocks
import QuantCore
import Testing

@testable import GGUF

/// The rows of the table of block types, against the kernels and each other.
struct BlockTypeTests {
  @Test func everyRowHasTheSizesOfTheKernelsAndEveryKernelHasARow() {
    let rows = Dictionary(grouping: BlockType.all) { $0.id }
    for number in 0..<QC_BLOCK_TYPE_LIMIT.rawValue {
      let size = qc_block_size_of(qc_block_type(rawValue: number))
      #expect(rows[number]?.count ?? 0 == (size.weights > 0 ? 1 : 0), "type \(number)")
      guard let type = rows[number]?.first else { continue }
      #expect(type.weights == Int(size.weights) && type.bytes == Int(size.bytes), "\(type.name)")
      // Refiners step from block to block by the number of parameters.
      #expect((type.refiner == nil) == (size.parameters == 0), "\(type.name)")
      if type.refiner != nil { #expect(type.parameterCount == Int(size.parameters), "\(type.name)") }
    }
    let none = qc_block_size_of(QC_BLOCK_TYPE_LIMIT)
    #expect(none.weights == 0 && none.bytes == 0 && none.parameters == 0)
  }

  @Test func everyTypeWithAnEncoderHasASchemeOfItsOwnThatOneProviderFinds() throws {
    #expect(Set(BlockType.all.map { $0.name }).count == BlockType.all.count)
    var names: [String] = []
    for type in BlockType.all {
      #expect(type.decoder != nil && (type.encoder == nil) == (type.scheme == nil), "\(type.name)")
      guard let scheme = type.scheme else { continue }
      #expect(scheme.layout == type && scheme.grid.layout == type.name && scheme.importanceNeed == type.importanceNeed)
      #expect(type.weights.isMultiple(of: type.scaleWeights), "\(type.name)")
      #expect(BlockType.holding(scheme: scheme.name) == type)
      let found = [
        GGUFBlocks.scheme(named: scheme.name, modelType: .f32), GGUFGrids.scheme(named: scheme.name, modelType: .f32),
      ].compactMap { $0 }
      #expect(found.count == 1 && found.first?.name == type.schemeName, "\(type.name)")
      names.append(scheme.name)
    }
    #expect(names == GGUFBlocks.schemeNames + GGUFGrids.schemeNames)
    for name in ["q8_1", "q8_k"] { #expect(GGUFBlocks.scheme(named: name, modelType: .f32) == nil) }
  }

  @Test func rowsThatDoNotFitGetShorterBlocksAndAtLastFloats() throws {
    for type in BlockType.all {
      if let fallback = type.fallback { #expect(fallback.blockLength < type.weights, "\(type.name)") }
      #expect(BlockFallback.replacing(type.schemeName, columns: 2 * type.weights) == nil)
      // No block type fits rows of odd length.
      let odd = BlockFallback.replacing(type.schemeName, columns: 2 * type.weights + 1)
      #expect(odd?.scheme == (type.fallback == nil ? nil : "f16"), "\(type.name)")
    }
    // As in llama.cpp's `tensor_type_fallback`.
    let expected = ["q2_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0", "iq4_xs": "iq4_nl", "iq1_m": "iq4_nl", "q2_0": "q4_0"]
    for (name, other) in expected {
      let found = try #require(BlockFallback.replacing(name, columns: 32 * 5))
      #expect(found.scheme == other && found.note.contains(name))
    }
    for name in ["q1_0", "nvfp4-ggml", "f16", "int4-g128"] { #expect(BlockFallback.replacing(name, columns: 160) == nil) }
    #expect(BlockFallback.replacing("mxfp4-ggml", columns: 48)?.scheme == "f16")
  }

  @Test func numbersInFilesLeadToTheTypeThatHasThem() {
    for type in BlockType.all {
      let found = GGUFTensorType.type(id: type.id)
      #expect(found == .blocks(type) && found == GGUFTensorType.type(of: .blocks(type.name)) && found?.name == type.name.uppercased())
      #expect(found?.blockLength == type.weights && found?.blockBytes == type.bytes)
    }
    #expect(GGUFTensorType.type(id: 30) == .plain(.bf16) && GGUFTensorType.type(of: .element(.bf16)) == .plain(.bf16))
    for id in GGUFTensorType.removedIDs { #expect(GGUFTensorType.type(id: id) == nil) }
    #expect(GGUFTensorType.type(of: .element(.u8)) == nil && GGUFTensorType.type(of: .blocks("q4_k_m")) == nil)
  }

  @Test func filesOfFloatBlocksHaveNumbersThoughNoMixIsCalledSo() {
    for name in ["mxfp4", "mxfp4-ggml"] { #expect(GGUFMixes.fileType(preset: name) == 38) }
    for name in ["nvfp4", "nvfp4-ggml"] { #expect(GGUFMixes.fileType(preset: name) == 39) }
    #expect(GGUFMixes.fileType(preset: "q4_k") == 15 && GGUFMixes.fileType(preset: "q8_1") == nil)
  }
}
