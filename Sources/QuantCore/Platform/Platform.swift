/// Calls that systems name or declare differently. `Linux.swift` and `Darwin.swift` hold one twin each of what is not here.
public enum Platform {
  /// The descriptor's data, and what is needed to find them again, are on the disk when this returns 0. Else the error number.
  public static func sync(_ descriptor: Int32) -> Int32 { syncToDisk(descriptor) == 0 ? 0 : errno }

  /// Runs `body` on a thread of its own, which nobody waits for.
  /// - Returns: 0, or the error number where there is no thread.
  public static func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
    let work = Unmanaged.passRetained(Work(body))
    let status = createThread(work.toOpaque())
    if status != 0 { work.release() }
    return status
  }

  /// What a new thread is to run, given back by the thread itself.
  static func run(_ work: UnsafeMutableRawPointer) { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }

  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
