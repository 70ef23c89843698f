import Dispatch
import QuantPlatform
import Synchronization

/// Syncs what has been written to the disk on a separate thread, so that the threads that write need not wait.
final class BackgroundSync: Sendable {
  private let outcome = Mutex<Result<Void, Failure>?>(nil)
  private let work = DispatchGroup()

  /// Begins at once.
  /// - Parameter sync: returns when all that had been written before the call is on the disk.
  init(_ sync: @escaping @Sendable () throws(Failure) -> Void) {
    work.enter()
    let run: @Sendable () -> Void = {
      let outcome = Result { () throws(Failure) in try sync() }
      self.outcome.withLock { $0 = outcome }
      self.work.leave()
    }
    // A thread of its own takes none from those that round weights. If the system has no more threads, this one waits for the disk.
    if Platform.startThread(run) != 0 { run() }
  }

  /// Whether `wait` would return at once.
  var isOver: Bool { outcome.withLock { $0 != nil } }

  /// Returns when the bytes are on the disk.
  /// - Throws: the error of `sync`.
  func wait() throws(Failure) {
    work.wait()
    if let outcome = outcome.withLock({ $0 }) { try outcome.get() }
  }
}
