import CKernels
import QuantPlatform

/// A file that is being written under a temporary name.
package final class OutputFile: Sendable {
  let path: String
  let size: Int
  private let descriptor: Int32

  /// Creates a file, or opens what an earlier run left of it, and reserves its whole space, so that a full disk is noticed
  /// before the work rather than after it.
  /// - Parameter folder: the folder that has it, or gets it, under the last name of `path`.
  /// - Throws: `Failure` if it cannot be created, or if there is not enough space.
  init(path: String, in folder: OpenFolder, size: Int) throws(Failure) {
    let (descriptor, number) = InterruptCleanup.create {
      let descriptor = openat(
        folder.descriptor, Files.lastComponent(path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
        0o666)
      return (descriptor, errno)
    }
    guard descriptor >= 0 else {
      throw Failure(.cannotCreate, "output.create", "cannot be created: \(OutputTarget.errorText(number))", file: path)
    }
    self.path = path
    self.size = size
    self.descriptor = descriptor
    try reserve()
  }

  private func reserve() throws(Failure) {
    guard size > 0 else { return }
    // A write beyond the limit of the process would end the program with a signal; checking first costs nothing.
    if let limit = Platform.largestFile(), UInt64(size) > limit {
      throw Failure(
        .io, "io.file-too-large", "needs \(size) bytes, but files are limited to \(limit) bytes here", file: path,
        remedy: "Raise the limit (ulimit -f), or write smaller shards.")
    }
    let number = Platform.reserve(descriptor, size: size)
    if number != 0 { throw failure("reserving space", number) }
  }

  /// Sets the permissions. A file system without permissions leaves them as they are.
  func set(permissions: mode_t) { fchmod(descriptor, permissions) }

  /// Writes all of `bytes` at `offset`.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Failure) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("writing", errno)
      }
      if count == 0 { throw failure("writing", EIO) }
      done += count
    }
  }

  /// Reads exactly `bytes.count` bytes at `offset`.
  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let count = pread(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("reading back", errno)
      }
      if count == 0 { throw failure("reading back", EIO) }
      done += count
    }
  }

  /// Asks the system to start writing a range to disk.
  func beginSync(_ range: Range<Int>) { _ = qc_begin_sync(descriptor, range.lowerBound, range.count) }

  /// Flushes everything to disk.
  package func sync() throws(Failure) {
    let number = Platform.sync(descriptor)
    if number != 0 { throw failure("writing", number) }
  }

  /// Several files of this size fit in any memory: the next program that reads one finds it in the cache.
  private static let keptInCache = 1 << 30

  /// Outputs of many gigabytes should not push what others need out of memory. A smaller one stays.
  func dropFromCache() {
    guard size > OutputFile.keptInCache else { return }
    Platform.dropFromCache(descriptor)
  }

  private func failure(_ action: String, _ number: Int32) -> Failure {
    guard number == ENOSPC || number == EDQUOT || number == EFBIG else {
      return Failure(.io, "io.write", "error while \(action): \(OutputTarget.errorText(number))", file: path)
    }
    var space = statvfs()
    let available = fstatvfs(descriptor, &space) == 0 ? Int(clamping: UInt64(space.f_bavail) * UInt64(space.f_frsize)) : 0
    return Failure(
      .io, "io.disk-full", "needs \(size) bytes, but \(available) are available: \(OutputTarget.errorText(number))", file: path,
      remedy: "Free some space, or choose another disk.")
  }

  deinit { close(descriptor) }
}
