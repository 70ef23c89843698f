/// Calls that systems name or declare differently. `Linux.swift` and `Darwin.swift` each hold their version of the rest.
public enum Platform {
  /// Flushes a file's data, and what is needed to find it again, to disk. Returns 0, or the error number.
  public static func sync(_ descriptor: Int32) -> Int32 { syncToDisk(descriptor) == 0 ? 0 : errno }

  /// Runs `body` on a new, detached thread.
  /// - Returns: 0, or the error number if the thread could not be created.
  public static func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
    let work = Unmanaged.passRetained(Work(body))
    let status = createThread(work.toOpaque())
    if status != 0 { work.release() }
    return status
  }

  /// Runs and releases the work of a new thread; called on that thread.
  static func run(_ work: UnsafeMutableRawPointer) { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }

  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
