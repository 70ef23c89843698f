import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// Inputs as llama.cpp rounds them, against its reference code (Interop/make_block_fixtures.py).
@Suite struct InputBlocksTests {
  private static func floats(_ name: String) -> [Float] { BlockEncodingTests.floats(readFile(SharedData.fixture("blocks/" + name))) }

  private func rounded(_ values: [Float], columns: Int, weightBlockLength: Int) -> [Float] {
    var matrix = Matrix(rows: values.count / columns, columns: columns, values: values)
    matrix.round(with: InputBlocks(weightBlockLength: weightBlockLength), parallel: Parallel(threads: 2))
    return matrix.values
  }

  @Test(arguments: [("inputs-q8_0.f32", 32), ("inputs-q8_k.f32", 256)]) func numbersAreThoseOfLlamaCpp(
    _ file: String, _ length: Int
  ) {
    let rows = Self.floats("rows.f32")
    let golden = Self.floats(file)
    #expect(golden.count == rows.count)
    let found = rounded(rows, columns: 512, weightBlockLength: length)
    for (row, (found, golden)) in zip(found, golden).enumerated() {
      #expect(bits([found + 0]) == bits([golden + 0]), "value \(row)")
    }
  }

  @Test func theTypeOfTheWeightsDecides() {
    #expect(InputBlocks(weightBlockLength: 256).layout == .q8_k)
    for length in [32, 64] { #expect(InputBlocks(weightBlockLength: length).layout == .q8_0) }
  }

  @Test func numbersThatAreNotFiniteStayVisible() {
    for (bad, length) in [(Float.infinity, 32), (.nan, 32), (.infinity, 256), (.nan, 256)] {
      var values = [Float](repeating: 1, count: 256)
      values[7] = bad
      #expect(!rounded(values, columns: 256, weightBlockLength: length)[7].isFinite)
    }
  }
}
