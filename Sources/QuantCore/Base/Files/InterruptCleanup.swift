import QuantPlatform
import Synchronization

/// Removes unfinished outputs when the program is interrupted.
///
/// A dedicated thread waits for SIGINT, SIGTERM and SIGHUP, which are masked in every other thread: removing files then
/// happens in ordinary code rather than in a signal handler, where almost nothing is allowed.
public enum InterruptCleanup {
  private static let registered = Mutex<[Int: String]>([:])
  private static let report = Mutex<(@Sendable (Loss) -> Int32)?>(nil)
  private static let interruptReport = Mutex<(@Sendable () -> Void)?>(nil)
  private static let isOutOfMemory = Atomic<Bool>(false)
  private static let waiting = Atomic<UInt>(0)
  private static let counter = Atomic<Int>(0)
  private static let installed = Atomic<Bool>(false)

  /// What a run cannot go on without.
  public enum Loss: Sendable { case input, memory }

  /// Starts the waiting thread. Call it once at the start of `main`, before any other thread exists: threads inherit the
  /// mask of the thread that created them. A signal that the parent ignores (`nohup`) stays ignored. SIGXFSZ is always
  /// ignored, so that exceeding a file-size limit makes the write fail instead of ending the program.
  ///
  /// On a signal, unfinished outputs are removed and the program ends with status 128 + signal number.
  ///
  /// If a mapped input becomes shorter, or its disk fails, the thread that reads it gets SIGBUS. That thread is halted, and
  /// the waiting one removes unfinished outputs, calls `report` and ends the program with the status it returns. The same happens
  /// on `endForLackOfMemory`.
  public static func install(report: @escaping @Sendable (Loss) -> Int32) {
    guard !installed.exchange(true, ordering: .relaxed) else { return }
    signal(SIGXFSZ, SIG_IGN)
    var waited = sigset_t()
    sigemptyset(&waited)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      if !Platform.isIgnored(number) { sigaddset(&waited, number) }
    }
    sigaddset(&waited, loss)
    pthread_sigmask(SIG_BLOCK, &waited, nil)
    self.report.withLock { $0 = report }
    // Without the thread, signals must work as usual.
    guard Platform.startThread({ InterruptCleanup.waitAndExit() }) == 0 else {
      pthread_sigmask(SIG_UNBLOCK, &waited, nil)
      return
    }
    signal(SIGBUS) { _ in
      // Only system calls are allowed here; returning would only repeat the access.
      kill(getpid(), InterruptCleanup.loss)
      while true { pause() }
    }
  }

  /// Ends the program because this thread cannot allocate memory. Only system calls are made here: the thread may hold any lock. If
  /// memory is not even enough for the waiting thread, or there is none, the work folder stays, and the next run removes it.
  public static func endForLackOfMemory() -> Never {
    let waiting = waiting.load(ordering: .relaxed)
    guard waiting != 0, waiting != Platform.currentThread else {
      let message: StaticString = "error: out of memory [io.memory]\n"
      _ = write(STDERR_FILENO, message.utf8Start, message.utf8CodeUnitCount)
      _exit(Failure.Kind.io.rawValue)
    }
    isOutOfMemory.store(true, ordering: .relaxed)
    kill(getpid(), loss)
    while true { pause() }
  }

  /// The signal that a thread that cannot go on sends to the waiting one.
  private static var loss: Int32 { Platform.privateSignal }

  private static func waitAndExit() {
    // The mask of this thread is what `install` blocked: waiting for exactly those signals needs no shared state.
    var waited = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &waited)
    waiting.store(Platform.currentThread, ordering: .relaxed)
    var number: Int32 = 0
    while sigwait(&waited, &number) != 0 {}
    let isOutOfMemory = number == loss && isOutOfMemory.load(ordering: .relaxed)
    // The lock is never released: a transaction that wants to finish now waits until the program has ended.
    guard isOutOfMemory else { return registered.withLock { end(removing: $0.values.map { $0 }, number, isOutOfMemory) } }
    // The thread that could not allocate may hold the lock.
    for _ in 0..<1000 {
      _ = registered.withLockIfAvailable { end(removing: $0.values.map { $0 }, number, isOutOfMemory) }
      usleep(1000)
    }
    end(removing: [], number, isOutOfMemory)
  }

  private static func end(removing folders: [String], _ number: Int32, _ isOutOfMemory: Bool) -> Never {
    for folder in folders { WorkFolder.remove(folder) }
    if number == loss, let report = report.withLock({ $0 }) { _exit(report(isOutOfMemory ? .memory : .input)) }
    if !isOutOfMemory { interruptReport.withLock { $0?() } }
    _exit(128 + number)
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
