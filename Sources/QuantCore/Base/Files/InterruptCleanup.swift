import QuantPlatform
import Synchronization

/// Removes unfinished outputs when the program is interrupted.
///
/// A dedicated thread waits for SIGINT, SIGTERM and SIGHUP, which are masked in every other thread: removing files then
/// happens in ordinary code rather than in a signal handler, where almost nothing is allowed.
public enum InterruptCleanup {
  private static let registered = Mutex<[Int: String]>([:])
  private static let lostInputReport = Mutex<(@Sendable () -> Int32)?>(nil)
  private static let interruptReport = Mutex<(@Sendable () -> Void)?>(nil)
  private static let counter = Atomic<Int>(0)
  private static let installed = Atomic<Bool>(false)

  /// Starts the waiting thread. Call it once at the start of `main`, before any other thread exists: threads inherit the
  /// mask of the thread that created them. A signal that the parent ignores (`nohup`) stays ignored. SIGXFSZ is always
  /// ignored, so that exceeding a file-size limit makes the write fail instead of ending the program.
  ///
  /// On a signal, unfinished outputs are removed and the program ends with status 128 + signal number.
  ///
  /// If a mapped input becomes shorter, or its disk fails, the thread that reads it gets SIGBUS. That thread is halted, and
  /// the waiting one removes unfinished outputs, calls `reportLostInput` and ends the program with the status it returns.
  public static func install(reportLostInput: @escaping @Sendable () -> Int32) {
    guard !installed.exchange(true, ordering: .relaxed) else { return }
    signal(SIGXFSZ, SIG_IGN)
    var waited = sigset_t()
    sigemptyset(&waited)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      if !Platform.isIgnored(number) { sigaddset(&waited, number) }
    }
    sigaddset(&waited, lostInput)
    pthread_sigmask(SIG_BLOCK, &waited, nil)
    lostInputReport.withLock { $0 = reportLostInput }
    // Without the thread, signals must work as usual.
    guard Platform.startThread({ InterruptCleanup.waitAndExit() }) == 0 else {
      pthread_sigmask(SIG_UNBLOCK, &waited, nil)
      return
    }
    signal(SIGBUS) { _ in
      // Only system calls are allowed here; returning would only repeat the access.
      kill(getpid(), InterruptCleanup.lostInput)
      while true { pause() }
    }
  }

  /// The signal that a thread that cannot go on sends to the waiting one.
  private static var lostInput: Int32 { Platform.privateSignal }

  private static func waitAndExit() {
    // The mask of this thread is what `install` blocked: waiting for exactly those signals needs no shared state.
    var waited = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &waited)
    var number: Int32 = 0
    while sigwait(&waited, &number) != 0 {}
    // The lock is never released: a transaction that wants to finish now waits until the program has ended.
    registered.withLock { folders in
      for folder in folders.values { WorkFolder.remove(folder) }
      if number == lostInput, let report = lostInputReport.withLock({ $0 }) { _exit(report()) }
      interruptReport.withLock { $0?() }
      _exit(128 + number)
    }
  }

  /// Sets what is called after unfinished outputs are removed and before the program ends on a signal; nil: nothing.
  public static func reportInterrupts(_ report: (@Sendable () -> Void)?) { interruptReport.withLock { $0 = report } }

  /// Remembers a work folder until `forget`.
  static func remember(_ folder: String) -> Int {
    let id = counter.wrappingAdd(1, ordering: .relaxed).newValue
    registered.withLock { $0[id] = folder }
    return id
  }

  /// Creates a temporary, unless an interrupt is removing them: then the program ends before `body` can create another.
  static func create<Result>(_ body: () -> Result) -> Result { registered.withLock { _ in body() } }

  /// As `create`, and remembers a work folder that `body` created, so that no interrupt comes in between.
  static func create<Result>(remembering folder: String, _ body: () -> (result: Result, isNew: Bool)) -> (Result, Int?) {
    registered.withLock { folders in
      let made = body()
      guard made.isNew else { return (made.result, nil) }
      let id = counter.wrappingAdd(1, ordering: .relaxed).newValue
      folders[id] = folder
      return (made.result, id)
    }
  }

  /// Forgets the folder that has this id (nil: none) if `body` returns true. Runs `body` under the lock, so that an interrupt
  /// comes before or after it, never in the middle.
  static func forget(_ id: Int?, after body: () -> Bool) {
    registered.withLock { folders in
      if body(), let id { folders[id] = nil }
    }
  }
}
