import Dispatch
import Synchronization

/// Brings what has been written to the disk, on a thread of its own: those who make more of it need not wait for the disk.
final class BackgroundSync: Sendable {
  private let outcome = Mutex<Result<Void, Failure>?>(nil)
  private let work = DispatchGroup()

  /// Begins at once.
  /// - Parameter sync: returns when all that had been written before the call is on the disk.
  init(_ sync: @escaping @Sendable () throws(Failure) -> Void) {
    // A queue of its own has a thread of its own, and takes none from those that round weights.
    DispatchQueue(label: "qconvert.sync").async(group: work) {
      let outcome = Result { () throws(Failure) in try sync() }
      self.outcome.withLock { $0 = outcome }
    }
  }

  /// Whether `wait` would return at once.
  var isOver: Bool { outcome.withLock { $0 != nil } }

  /// Returns when the bytes are on the disk.
  /// - Throws: what the system said instead.
  func wait() throws(Failure) {
    work.wait()
    if let outcome = outcome.withLock({ $0 }) { try outcome.get() }
  }
}
