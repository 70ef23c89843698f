import QuantCore
import QuantPlatform
import Synchronization
import Testing

@testable import QuantConversion
@testable import QuantNumbers

@Suite struct OrderedPieceTests {
  private struct Stop: Error, Equatable { var index: Int }

  @Test(arguments: [1, 2, 3, 8]) func resultsComeInOrderHoweverLongTheyTake(_ threads: Int) throws {
    for count in [0, 1, 2, 7, 200] {
      var found: [Int] = []
      try Parallel(threads: threads).inOrder(count) { index in
        if index.isMultiple(of: 5) { usleep(300) }
        return index * index
      } consume: {
        found.append($0)
      }
      #expect(found == (0..<count).map { $0 * $0 })
    }
  }

  @Test(arguments: [1, 2, 8]) func onlyAFewResultsWaitAtATime(_ threads: Int) throws {
    let alive = Atomic(0)
    let most = Mutex(0)
    try Parallel(threads: threads).inOrder(300) { index in
      let now = alive.wrappingAdd(1, ordering: .relaxed).newValue
      most.withLock { $0 = max($0, now) }
      // The first of many is the slowest: the others must not run too far ahead.
      if index.isMultiple(of: 50) { usleep(2000) }
      return index
    } consume: { _ in
      alive.wrappingSubtract(1, ordering: .relaxed)
    }
    let found = most.withLock { $0 }
    #expect(found <= max(1, 2 * threads))
  }

  /// Twelve bytes for each weight in work, on any number of cores: about 100 MB at most, unless a single tile needs more.
  @Test func fewerThreadsWorkOnLongerRows() {
    for threads in [1, 2, 16, 128] {
      for tile in [1, TileSize.weights, 32 * 53248, 128 * 28672, 128 * 53248, 1 << 30] {
        let working = TileSize.threads(threads, tileWeights: tile)
        #expect((1...threads).contains(working))
        #expect(working == 1 || working * tile * 12 <= 101 << 20)
        // No thread is left idle unnecessarily.
        #expect(working == threads || (working + 1) * tile > TileSize.weightsInWork)
      }
    }
  }

  @Test func buffersAreUsedAgain() {
    let buffers = TileBuffers()
    func address(_ count: Int) -> UInt {
      buffers.withBuffer { buffer in
        buffer.reserve(count)
        return buffer.values.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
      }
    }
    let first = address(1000)
    #expect(address(1000) == first && address(10) == first && address(1000) == first)
    // Two buffers in use at the same time are different ones.
    buffers.withBuffer { buffer in
      #expect(buffer.values.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) } == first)
      #expect(address(1000) != first)
    }
  }

  @Test(arguments: [1, 2, 8]) func theFirstErrorInTheOrderIsThrown(_ threads: Int) {
    for isConsumer in [false, true] {
      var consumed = 0
      #expect(throws: Stop(index: 17)) {
        try Parallel(threads: threads).inOrder(100) { index in
          if !isConsumer, index >= 17 {
            // Later pieces fail sooner.
            usleep(index == 17 ? 2000 : 10)
            throw Stop(index: index)
          }
          return index
        } consume: { index in
          if isConsumer, index == 17 { throw Stop(index: index) }
          consumed += 1
        }
      }
      #expect(consumed == 17)
    }
  }
}
