import QuantPlatform

/// A regular file mapped into memory, read-only.
///
/// Only regular files are accepted: a folder, a pipe or a device has no size to check offsets against. The mapping is
/// private and the descriptor is closed at once, so any number of shards can be open.
public final class MappedFile: Sendable {
  /// The path as given.
  public let path: String
  /// The whole content.
  public var contents: ByteView { ByteView(owner: self, base: base.pointer, count: count) }
  /// Size in bytes when the file was opened.
  public let count: Int

  private let base: Address
  private let identity: FileIdentity

  /// - Throws: `Failure` `input.missing`, `input.unreadable`, `input.symlink-loop`, `input.not-a-file`.
  public init(_ path: String) throws(Failure) {
    // Without O_NONBLOCK, opening a pipe would wait for a writer before its kind could be checked.
    let descriptor = QuantPlatform.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Files.failure(errno, opening: path) }
    defer { _ = close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Files.failure(errno, opening: path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(
        .noInput, "input.not-a-file", "is \(MappedFile.kind(of: status.st_mode)), not a file", file: path,
        remedy: "Give the path of a regular file.")
    }
    guard let size = Int(exactly: status.st_size), size >= 0 else {
      throw Failure(.noInput, "input.unreadable", "reports an impossible size", file: path)
    }
    var pointer: UnsafeMutableRawPointer?
    if size > 0 {
      pointer = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
      guard pointer != MAP_FAILED else { throw Files.failure(errno, opening: path) }
    }
    self.path = path
    count = size
    base = Address(pointer: UnsafeRawPointer(pointer))
    identity = FileIdentity(status)
  }

  deinit {
    if let pointer = base.pointer { munmap(UnsafeMutableRawPointer(mutating: pointer), count) }
  }

  /// Whether another file is now at the path, or this one was written to since it was opened. Results computed from the
  /// mapping are then worthless.
  public func hasChanged() -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return true }
    return FileIdentity(status) != identity
  }

  private static func kind(of mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "a folder"
    case S_IFIFO: "a pipe"
    case S_IFCHR, S_IFBLK: "a device"
    case S_IFSOCK: "a socket"
    default: "a special file"
    }
  }

  /// Unchecked: the mapping is never written to.
  private struct Address: @unchecked Sendable {
    let pointer: UnsafeRawPointer?
  }
}

/// Tells whether a path still leads to the same, unchanged file.
private struct FileIdentity: Equatable, Sendable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  let seconds: Int
  let nanoseconds: Int

  init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    let time = Platform.modificationTime(status)
    seconds = time.tv_sec
    nanoseconds = time.tv_nsec
  }
}
