import Dispatch
import Synchronization

/// Syncs what has been written to the disk on a separate thread, so that the threads that write need not wait.
final class BackgroundSync: Sendable {
  private let outcome = Mutex<Result<Void, Failure>?>(nil)
  private let work = DispatchGroup()

  /// Begins at once.
  /// - Parameter sync: returns when all that had been written before the call is on the disk.
  init(_ sync: @escaping @Sendable () throws(Failure) -> Void) {
    // A separate queue has its own thread and takes none from those that round weights.
    DispatchQueue(label: "qconvert.sync").async(group: work) {
      let outcome = Result { () throws(Failure) in try sync() }
      self.outcome.withLock { $0 = outcome }
    }
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
