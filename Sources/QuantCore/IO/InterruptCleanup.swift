import Glibc
import Synchronization

/// Removes unfinished outputs when the program is interrupted.
///
/// A thread of its own waits for SIGINT, SIGTERM and SIGHUP, which are masked in every other thread: removing files then
/// happens in ordinary code and not in a signal handler, where almost nothing is allowed.
public enum InterruptCleanup {
  /// What to remove: files first, then the folder that holds them.
  struct Temporary: Sendable {
    var files: [String]
    var folder: String?

    func remove() {
      for file in files { unlink(file) }
      if let folder { rmdir(folder) }
    }
  }

  private static let registered = Mutex<[Int: Temporary]>([:])
  private static let counter = Atomic<Int>(0)
  private static let installed = Atomic<Bool>(false)

  /// Starts the waiting thread. To be called once at the start of `main`, before any other thread exists: threads inherit
  /// the mask of the thread that made them. A signal that the parent ignores (`nohup`) stays ignored. SIGXFSZ is ignored
  /// for good, so that a file-size limit is an error of the write and not the end of the program.
  ///
  /// On a signal, unfinished outputs are removed and the program ends with status 128 + signal number.
  public static func install() {
    guard !installed.exchange(true, ordering: .relaxed) else { return }
    signal(SIGXFSZ, SIG_IGN)
    var waited = sigset_t()
    sigemptyset(&waited)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      var action = sigaction()
      sigaction(number, nil, &action)
      // The handler is compared as a bit pattern: function pointers have no equality in Swift.
      let isIgnored = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
      if !isIgnored { sigaddset(&waited, number) }
    }
    pthread_sigmask(SIG_BLOCK, &waited, nil)
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { _ in
        InterruptCleanup.waitAndExit()
        return nil
      }, nil)
    // Without the thread the signals must work as usual.
    if status == 0 { pthread_detach(thread) } else { pthread_sigmask(SIG_UNBLOCK, &waited, nil) }
  }

  private static func waitAndExit() {
    // The mask of this thread is what `install` blocked: waiting for exactly those needs no shared state.
    var waited = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &waited)
    var number: Int32 = 0
    while sigwait(&waited, &number) != 0 {}
    // The lock is never given back: a transaction that wants to finish now waits until the program is gone.
    registered.withLock { temporaries in
      for temporary in temporaries.values { temporary.remove() }
      _exit(128 + number)
    }
  }

  /// Remembers temporaries until `forget`.
  static func remember(_ temporary: Temporary) -> Int {
    let id = counter.wrappingAdd(1, ordering: .relaxed).newValue
    registered.withLock { $0[id] = temporary }
    return id
  }

  /// Drops what `remember` gave an id for. Runs `body` under the lock, so that an interrupt falls before or after it, never
  /// in the middle.
  static func forget(_ id: Int, after body: () -> Bool) {
    registered.withLock { temporaries in
      if body() { temporaries[id] = nil }
    }
  }
}
