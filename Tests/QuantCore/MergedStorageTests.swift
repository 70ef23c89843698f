import QuantCore
import Synchronization
import Testing

@testable import QuantBase
@testable import QuantConversion
@testable import QuantModel
@testable import QuantNumbers

/// Storage that counts how many of its rows are decoded.
private final class CountedStorage: TensorStorage {
  private let plain: PlainStorage
  private let count = Mutex(0)
  var decodedRows: Int { count.withLock { $0 } }

  init(_ values: [Float]) { plain = PlainStorage(.f32, ByteView(NumberConversion.bytes(of: values, as: .f32))) }

  var schemeName: String { plain.schemeName }
  var byteCount: Int { plain.byteCount }
  var isNumeric: Bool { true }
  var verbatim: ByteView? { nil }
  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    count.withLock { $0 += rows.count }
    plain.decode(rows: rows, rowLength: rowLength, into: destination)
  }
}

/// Weights with merged adapters, whose rows may be requested in any order and number.
@Suite struct MergedStorageTests {
  private static func values(_ count: Int, _ seed: Int) -> [Float] { (0..<count).map { Float(($0 * 7919 + seed * 31) % 101 - 50) / 64 } }

  private static func tensor(_ shape: [Int], _ seed: Int) -> (tensor: CheckpointTensor, storage: CountedStorage) {
    let storage = CountedStorage(values(shape.reduce(1, *), seed))
    return (CheckpointTensor(name: "thin", shape: shape, storage: storage), storage)
  }

  /// A weight of 12 outputs and 8 inputs with two updates of ranks 3 and 2, and the storages of the sides that all rows need.
  private static func merged(
    isTransposed: Bool, limit: Int
  ) -> (weight: CheckpointTensor, shared: [CountedStorage], expected: [Float]) {
    var shared: [CountedStorage] = []
    var updates: [LowRankUpdate] = []
    var expected = values(12 * 8, 1)
    for (seed, rank) in [(2, 3), (3, 2)] {
      // A as [rank, inputs], B as [outputs, rank].
      let inputs = tensor([rank, 8], seed), outputs = tensor([12, rank], seed + 10)
      updates.append(
        LowRankUpdate(
          target: "weight", outputs: ThinMatrix(outputs.tensor, ranksFirst: false), inputs: ThinMatrix(inputs.tensor, ranksFirst: true),
          scale: 0.5, isTransposed: isTransposed))
      shared.append(isTransposed ? outputs.storage : inputs.storage)
      let (a, b) = (values(rank * 8, seed), values(12 * rank, seed + 10))
      for index in expected.indices {
        let (output, input) = isTransposed ? (index % 12, index / 12) : (index / 8, index % 8)
        expected[index] += 0.5 * (0..<rank).reduce(Float(0)) { $0 + b[output * rank + $1] * a[$1 * 8 + input] }
      }
    }
    let storage = MergedStorage(
      original: PlainStorage(.f32, ByteView(NumberConversion.bytes(of: values(12 * 8, 1), as: .f32))), updates: updates,
      ranks: DecodedRanks(limit: limit))
    return (CheckpointTensor(name: "weight", shape: isTransposed ? [8, 12] : [12, 8], storage: storage), shared, expected)
  }

  @Test(arguments: [false, true]) func sharedSidesAreDecodedOnceForAllRows(isTransposed: Bool) {
    let (weight, shared, expected) = Self.merged(isTransposed: isTransposed, limit: 1 << 20)
    for row in [0, 2, 4, 1, 3, 5, 7, 6] {
      var values = [Float](repeating: 0, count: weight.rowLength)
      weight.decode(rows: row..<row + 1, into: &values)
      #expect(values == Array(expected[row * weight.rowLength..<(row + 1) * weight.rowLength]))
    }
    #expect(shared.map(\.decodedRows) == (isTransposed ? [12, 12] : [3, 2]))
    #expect(weight.matrix().values == expected)
    #expect(shared.map(\.decodedRows) == (isTransposed ? [12, 12] : [3, 2]))
  }

  /// If there are too many to keep, they are decoded again, to the same values.
  @Test func whatIsKeptIsBounded() {
    let (weight, shared, expected) = Self.merged(isTransposed: false, limit: 30)
    for _ in 0..<2 { #expect(weight.matrix().values == expected) }
    #expect(shared.map(\.decodedRows) == [6, 4])
  }
}
