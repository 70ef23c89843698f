import Dispatch
import Synchronization

extension Parallel {
  /// Computes results of pieces of work, several at a time, and hands them on in order while later ones are being computed.
  ///
  /// The thread that finishes the next piece hands it on, with all finished pieces that follow it: no thread is idle while
  /// another writes, and at most `2 * threads` results exist at a time.
  /// - Parameters:
  ///   - make: called once for each index below `count`, from several threads.
  ///   - consume: called with one result at a time, in the order of the indices.
  /// - Throws: what `make` or `consume` throws for the first index for which one of them does.
  package func inOrder<Result: Sendable>(
    _ count: Int, make: @Sendable (Int) throws -> Result, consume: (Result) throws -> Void
  ) throws {
    let workers = min(threads, count)
    guard workers > 1 else {
      for index in 0..<max(0, count) { try consume(make(index)) }
      return
    }
    try withoutActuallyEscaping(consume) { consume in
      let line = OrderedResults(count: count, places: 2 * workers, workers: workers, consume: consume)
      DispatchQueue.concurrentPerform(iterations: workers) { _ in
        while let index = line.take() { line.finish(index, Swift.Result { try make(index) }) }
      }
      try line.check()
    }
  }
}

/// Takes results that finish in any order, and passes them on in the order of their indices.
///
/// Unchecked: `consume` is only called by the thread that has set `isConsuming`.
private final class OrderedResults<Value: Sendable>: @unchecked Sendable {
  private struct State {
    var taken = 0
    var next = 0
    var waiting: [Int: Result<Value, any Error>] = [:]
    var isConsuming = false
    var failure: (any Error)?
  }

  private let count: Int
  private let workers: Int
  private let consume: (Value) throws -> Void
  private let state = Mutex(State())
  /// One place for each result that may exist. It is taken before an index is, so the thread with the lowest index never waits.
  private let places: DispatchSemaphore

  init(count: Int, places: Int, workers: Int, consume: @escaping (Value) throws -> Void) {
    self.count = count
    self.workers = workers
    self.consume = consume
    // A semaphore must not be destroyed with a lower value than its initial one.
    self.places = DispatchSemaphore(value: 0)
    for _ in 0..<places { self.places.signal() }
  }

  /// The next index to work on, or nil if there is none left, or if something failed.
  func take() -> Int? {
    places.wait()
    let index: Int? = state.withLock { state in
      guard state.taken < count, state.failure == nil else { return nil }
      defer { state.taken += 1 }
      return state.taken
    }
    // Other threads that wait must see that there is nothing to do.
    if index == nil { places.signal() }
    return index
  }

  func finish(_ index: Int, _ result: Result<Value, any Error>) {
    let isConsumer = state.withLock { state in
      state.waiting[index] = result
      defer { state.isConsuming = true }
      return !state.isConsuming
    }
    guard isConsumer else { return }
    while let result = nextResult() {
      do {
        try consume(result.get())
      } catch {
        state.withLock { $0.failure = error }
      }
      places.signal()
    }
  }

  /// The next result to hand on, if it is finished; otherwise this thread stops being the consumer.
  private func nextResult() -> Result<Value, any Error>? {
    state.withLock { state in
      guard state.failure == nil, let result = state.waiting.removeValue(forKey: state.next) else {
        state.isConsuming = false
        if state.failure != nil { for _ in 0..<workers { places.signal() } }
        return nil
      }
      state.next += 1
      return result
    }
  }

  func check() throws {
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }
}
