import Testing

@testable import QuantModel

@Suite struct PlacedTensorTests {
  private func stored(_ shape: [Int]) -> CheckpointTensor {
    let values = (0..<shape.reduce(1, *)).map { Float($0) }
    return CheckpointTensor(name: "a", shape: shape, storage: PlainStorage(.f32, ByteView(values.withUnsafeBytes { [UInt8]($0) })))
  }

  @Test func aTensorOfTheShapeOfItsPlaceIsRead() throws {
    let second = try PlacedTensor(stored([4, 3]), at: TensorPlace("a", [4, 3], RowLayout(firstRow: 2)), shape: [2, 3], file: "f")
    #expect(second.matrix(parallel: Parallel(threads: 1)).values == [6, 7, 8, 9, 10, 11])
    let turned = try PlacedTensor(stored([3, 2]), at: TensorPlace("a", [3, 2], RowLayout(isTransposed: true)), shape: [2, 3], file: "f")
    #expect(turned.matrix(parallel: Parallel(threads: 1)).values == [0, 2, 4, 1, 3, 5])
  }

  /// Outputs are the columns of each matrix of a stack, numbered through all of them.
  @Test func aStackOfTransposedMatricesIsReadAsOne() throws {
    let place = TensorPlace("a", [2, 3, 2], RowLayout(isTransposed: true))
    let placed = try PlacedTensor(stored([2, 3, 2]), at: place, shape: [4, 3], file: "f")
    let expected: [Float] = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    #expect(placed.matrix(parallel: Parallel(threads: 2)).values == expected)
    var rows = [Float](repeating: 0, count: 6)
    rows.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { placed.decode(rows: 1..<3, into: base) } }
    #expect(rows == Array(expected[3..<9]))
  }

  @Test func rowsThatAreNotStoredAreZero() throws {
    let padded = try PlacedTensor(stored([2, 3]), at: TensorPlace("a", [2, 3]), shape: [4, 3], file: "f")
    #expect(padded.matrix(parallel: Parallel(threads: 1)).values == [0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0])
    var rows = [Float](repeating: 9, count: 6)
    rows.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { padded.decode(rows: 1..<3, into: base) } }
    #expect(rows == [3, 4, 5, 0, 0, 0])
  }

  @Test(arguments: [[4, 4], [4, 2], [5, 3], [3, 3], [3, 4], [12], [1, 4, 3], []])
  func aTensorOfAnotherShapeIsRefused(_ shape: [Int]) {
    for (layout, own) in [(RowLayout(), [4, 3]), (RowLayout(firstRow: 2), [2, 3]), (RowLayout(isTransposed: true), [3, 4])] {
      let failure = #expect(throws: Failure.self) {
        try PlacedTensor(stored(shape), at: TensorPlace("b", [4, 3], layout), shape: own, file: "f")
      }
      #expect(failure?.id == "model.tensor-shape" && failure?.kind == .data && failure?.tensor == "b" && failure?.file == "f")
    }
  }
}
