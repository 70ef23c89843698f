import BitsAndBytes
import QuantCore
import TestSupport
import Testing

/// Weights that bitsandbytes dequantized (Interop/make_lattice_fixtures.py).
@Suite struct FourBitLatticeTests {
  private let tensors = Dictionary(
    storedTensors(SharedData.fixture("floats/lattices.safetensors")).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  @Test(arguments: ["bf16", "f16", "f32"]) func dequantizedWeightsAreFound(_ type: String) throws {
    let stored = try #require(tensors["nf4." + type])
    let nf4 = try #require(BitsAndBytesSchemes.scheme(named: "nf4", modelType: .bf16))
    #expect(stored.lies(on: nf4))
    for name in ["fp4", "nf4-g128", "llm-int8"] {
      #expect(!stored.lies(on: try #require(BitsAndBytesSchemes.scheme(named: name, modelType: .bf16))), "\(name)")
    }
    let matrix = stored.matrix(), magnitudes = try #require(tensors["nf4.scales"]).matrix().values
    for (block, magnitude) in magnitudes.enumerated() {
      let found = matrix.values[block * 64..<block * 64 + 64].withUnsafeBufferPointer {
        nf4.exactParameters(of: $0, storedIn: ElementType(schemeName: type) ?? .f32)
      }
      #expect(abs(try #require(found)[0] / magnitude - 1) < (type == "f32" ? 1e-6 : 0.004))
    }
    #expect(!(try #require(tensors["random." + type])).lies(on: nf4))
  }

  @Test func rowsOfLLMInt8AreFound() throws {
    let int8 = try #require(BitsAndBytesSchemes.scheme(named: "llm-int8", modelType: .f16))
    let stored = try #require(tensors["int8-channel.f16"])
    // The rule of LLM.int8() has no code -128.
    let reaches = try #require(tensors["int8-channel.codes"]?.storage.verbatim).withUnsafeBytes { $0.bindMemory(to: Int32.self).min() }
    #expect(stored.lies(on: int8) == (reaches != -128))
  }
}
