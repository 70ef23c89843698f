import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// Activations as llama.cpp rounds them, against its reference code (Interop/make_block_fixtures.py).
@Suite struct InputBlocksTests {
  private static func floats(_ name: String) -> [Float] { BlockEncodingTests.floats(readFile(SharedData.fixture("blocks/" + name))) }

  private func rounded(_ values: [Float], columns: Int, weights: BlockType) -> [Float] {
    var matrix = Matrix(rows: values.count / columns, columns: columns, values: values)
    matrix.round(with: InputBlocks(for: weights), parallel: Parallel(threads: 2))
    return matrix.values
  }

  @Test(arguments: [("inputs-q8_0.f32", BlockType.q4_0), ("inputs-q8_k.f32", .q4_k)]) func numbersAreThoseOfLlamaCpp(
    _ file: String, _ weights: BlockType
  ) {
    let rows = Self.floats("rows.f32")
    let golden = Self.floats(file)
    #expect(golden.count == rows.count)
    let found = rounded(rows, columns: 512, weights: weights)
    for (row, (found, golden)) in zip(found, golden).enumerated() {
      #expect(bits([found + 0]) == bits([golden + 0]), "value \(row)")
    }
  }

  @Test func theTypeOfTheWeightsDecides() {
    for type in [BlockType.q4_k, .iq4_xs, .tq2_0] { #expect(InputBlocks(for: type).layout == .q8_k) }
    for type in [BlockType.q4_0, .nvfp4, .q1_0] { #expect(InputBlocks(for: type).layout == .q8_0) }
  }

  @Test func numbersThatAreNotFiniteStayVisible() {
    for (bad, type) in [(Float.infinity, BlockType.q4_0), (.nan, .q4_0), (.infinity, .q4_k), (.nan, .q4_k)] {
      var values = [Float](repeating: 1, count: 256)
      values[7] = bad
      #expect(!rounded(values, columns: 256, weights: type)[7].isFinite)
    }
  }
}
