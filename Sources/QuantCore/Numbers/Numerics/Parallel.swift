import Dispatch
import Synchronization

/// A parallel loop over fixed pieces of work.
///
/// Work is divided by the data, never by the number of threads, and each piece writes only its own results: the outcome does
/// not depend on `threads`.
public struct Parallel: Sendable {
  /// Number of threads that work at the same time.
  public let threads: Int

  public init(threads: Int) { self.threads = max(1, threads) }

  /// Calls `body` once for each index below `count`, in no particular order, and returns when all are done.
  public func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let workers = min(threads, count)
    guard workers > 1 else {
      for index in 0..<max(0, count) { body(index) }
      return
    }
    let next = Counter()
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      while true {
        let index = next.take()
        if index >= count { return }
        body(index)
      }
    }
  }

  /// Calls `body` for successive ranges of at most `piece` indices that cover `0..<count`.
  public func forEachRange(_ count: Int, piece: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let piece = max(1, piece)
    forEach((count + piece - 1) / piece) { index in
      body(index * piece..<min(count, (index + 1) * piece))
    }
  }

  private final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    func take() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
  }
}

/// A pointer that several threads may use at once because each writes its own part.
public struct SharedPointer<Element>: @unchecked Sendable {
  /// The pointer that crosses threads.
  public let base: UnsafeMutablePointer<Element>
  @inlinable public init(_ base: UnsafeMutablePointer<Element>) { self.base = base }
}
