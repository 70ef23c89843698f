import Synchronization

/// Calls that systems name or declare differently. `Linux.swift` and `Darwin.swift` each hold their version of the rest.
public enum Platform {
  /// Flushes a file's data, and what is needed to find it again, to disk. Returns 0, or the error number.
  public static func sync(_ descriptor: Int32) -> Int32 {
    while syncToDisk(descriptor) != 0 {
      if errno != EINTR { return errno }
    }
    return 0
  }

  /// Makes sure that the numbers of the standard streams are taken: the next file that is opened would get the number of a stream that
  /// was closed at the start, and messages would be written into it.
  public static func occupyStandardStreams() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 && errno == EBADF {
      _ = open("/dev/null", O_RDWR)
    }
  }

  /// Runs `body` on a new, detached thread.
  /// - Returns: 0, or the error number if the thread could not be created.
  public static func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
    let work = Unmanaged.passRetained(Work(body))
    let status = createThread(work.toOpaque())
    if status != 0 { work.release() }
    return status
  }

  /// How many threads can run at the same time, this one included: processes and address space may be limited, and to wait for a thread
  /// that never starts is to wait for ever.
  public static func startableThreads(upTo count: Int) -> Int {
    // The queues that hand out work have a thread of their own, and end the program if they cannot open files of their own.
    let wanted = count > 1 && canOpen(16) ? count : 0
    let gate = Gate()
    var started = 0
    while started < wanted, startThread({ gate.wait() }) == 0 { started += 1 }
    gate.open()
    return max(1, min(count, started))
  }

  /// Whether this process may open so many more files.
  private static func canOpen(_ count: Int) -> Bool {
    let copies = (0..<count).map { _ in fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0) }
    for copy in copies where copy >= 0 { close(copy) }
    return copies.allSatisfy { $0 >= 0 }
  }

  /// Where threads wait until all of them have started.
  private final class Gate: Sendable {
    private let isOpen = Mutex(false)

    func wait() {
      while !isOpen.withLock({ $0 }) { usleep(200) }
    }

    func open() { isOpen.withLock { $0 = true } }
  }

  /// Runs and releases the work of a new thread; called on that thread.
  static func run(_ work: UnsafeMutableRawPointer) { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }

  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
