import GGUF
import QuantCore
import Testing

@testable import GPTQ

@Suite struct VisitingOrderTests {
  private let diagonal: [Float] = (0..<200).map { Float(($0 * 7919 + 13) % 101) }

  /// The table of Docs/methods.md.
  @Test func shortBlocksOfFewBitsAreFittedOnArrivalAndAllElseBefore() throws {
    for name in GGUFBlocks.schemeNames {
      let scheme = try #require(GGUFBlocks.scheme(named: name, modelType: .f32))
      let isShort = ["q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "tq1_0", "tq2_0", "q1_0", "q2_0", "mxfp4-ggml"].contains(name)
      let expected = isShort ? VisitingOrder.Kind.block : .static
      #expect(VisitingOrder.Kind.best(for: scheme.grid) == expected, "\(name)")
    }
    for name in ["int4-g32", "int4-g128", "int4-g128-asym", "int4-channel", "int8-channel", "int8-g32"] {
      #expect(VisitingOrder.Kind.best(for: try #require(IntegerScheme.named(name)).grid) == .static, "\(name)")
    }
    for name in ["fp8-channel", "fp8-block128", "fp8-tensor"] {
      #expect(VisitingOrder.Kind.best(for: try #require(Float8Schemes.scheme(named: name, modelType: .bf16)).grid) == .static, "\(name)")
    }
  }

  @Test(arguments: VisitingOrder.Kind.allCases) func columnsThatShareAPointStayTogether(_ kind: VisitingOrder.Kind) {
    let order = VisitingOrder(kind, diagonal: diagonal, tileLength: 40, joint: 8)
    #expect(order.columns.sorted() == Array(0..<200))
    for first in stride(from: 0, to: 200, by: 8) {
      let column = order.columns[first]
      #expect(column.isMultiple(of: 8) && Array(order.columns[first..<first + 8]) == Array(column..<column + 8))
    }
    #expect(order.batches.allSatisfy { $0.lowerBound.isMultiple(of: 8) })
  }

  /// Tiles of 32 columns leave 8 at the end, tiles of 128 leave 72, and tiles of 250 are wider than the matrix.
  @Test(arguments: VisitingOrder.Kind.allCases, [32, 50, 128, 200, 250]) func everyColumnIsVisitedOnceAndTilesStayTogether(
    _ kind: VisitingOrder.Kind, _ length: Int
  ) {
    let order = VisitingOrder(kind, diagonal: diagonal, tileLength: length)
    #expect(order.columns.sorted() == Array(0..<200))
    #expect(order.batches.flatMap { Array($0) } == Array(0..<200))
    #expect(order.batches.allSatisfy { !$0.isEmpty && $0.count <= VisitingOrder.largestBatch })
    guard kind != .static else { return }
    for first in stride(from: 0, to: 200, by: length) {
      let tiles = Set(order.columns[first..<min(200, first + length)].map { $0 / length })
      #expect(tiles.count == 1, "a tile begins where the previous one ends")
    }
    for batch in order.batches where !batch.upperBound.isMultiple(of: length) && batch.upperBound < 200 {
      #expect(batch.lowerBound / length == (batch.upperBound - 1) / length, "a batch that ends inside a tile lies within that tile")
    }
  }

  @Test func columnsComeInOrderOfDecreasingActivations() {
    let loud = VisitingOrder(.static, diagonal: diagonal, tileLength: 32).columns.map { diagonal[$0] }
    #expect(loud == loud.sorted(by: >))
    let blocks = VisitingOrder(.block, diagonal: diagonal, tileLength: 50).columns.map { diagonal[$0] }
    let leaders = stride(from: 0, to: 200, by: 50).map { blocks[$0] }
    #expect(leaders == leaders.sorted(by: >))
    for first in stride(from: 0, to: 200, by: 50) { #expect(Array(blocks[first..<first + 50]) == blocks[first..<first + 50].sorted(by: >)) }
    #expect(VisitingOrder(.plain, diagonal: diagonal, tileLength: 32).columns == Array(0..<200))
    // Equal columns keep their order.
    #expect(VisitingOrder(.static, diagonal: [1, 2, 2, 1], tileLength: 4).columns == [1, 2, 0, 3])
  }
}
