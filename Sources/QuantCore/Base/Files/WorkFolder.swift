import QuantPlatform
import Synchronization

/// The hidden folder beside a target in which a run keeps what is not finished: the output, its journal, and whatever else
/// a resumed run needs.
///
/// There is one for each target, and it belongs to the process that has locked its journal. The lock ends with its process,
/// however that ends: the files in a folder that can be locked were left by a dead run.
public final class WorkFolder: Sendable {
  /// Path of the folder.
  public let path: String
  /// Whether an earlier run left something.
  public let hasLeftovers: Bool
  private let target: String
  private let descriptor: Int32
  /// Nil if the folder must survive an interrupt, or holds what an earlier run left.
  private let registration: Mutex<Int?>

  /// The output while it is being written: a file or a folder.
  package var output: String { path + "/output" }
  /// The record of what is finished, one line each; this file is also the lock.
  package var journal: String { path + "/journal" }
  /// Where an old output goes if the file system cannot exchange two folders.
  var replaced: String { path + "/replaced" }

  /// A file beside the output.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Creates the folder, or takes over what a dead run left.
  /// - Parameter isKept: whether the folder survives an interrupt.
  /// - Throws: `Failure` `output.busy` if a live run has it, `output.work-link` if a link is in its place, `output.create` if it
  ///   cannot be created.
  public init(for target: String, isKept: Bool = false) throws(Failure) {
    let path = WorkFolder.path(for: target)
    let journal = path + "/journal"
    while true {
      let ((descriptor, number), registration) = InterruptCleanup.create(remembering: path) {
        () -> ((descriptor: Int32, number: Int32), Bool) in
        let isNew = mkdir(path, 0o777) == 0
        if !isNew, errno != EEXIST { return ((-1, errno), false) }
        // A link in its place would make the run write and delete somebody else's files.
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard folder >= 0 else {
          let number = errno
          if isNew { rmdir(path) }
          return ((-1, number), false)
        }
        defer { close(folder) }
        let descriptor = openat(folder, "journal", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
        let number = errno
        if descriptor < 0, isNew { rmdir(path) }
        return ((descriptor, number), isNew && descriptor >= 0 && !isKept)
      }
      // Another process removed the folder after it was found.
      if descriptor < 0, number == ENOENT, OutputTarget.linkStatus(path) == nil { continue }
      guard descriptor >= 0 else {
        if let there = OutputTarget.linkStatus(path), there.st_mode & S_IFMT == S_IFLNK {
          throw Failure(
            .cannotCreate, "output.work-link", "is a symbolic link in the place of the work folder, and is not followed",
            file: path,
            remedy: "Remove the link, or choose another output.")
        }
        throw Failure(.cannotCreate, "output.create", "cannot be created: \(OutputTarget.errorText(number))", file: path)
      }
      if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
        close(descriptor)
        InterruptCleanup.forget(registration) { true }
        throw Failure(
          .cannotCreate, "output.busy", "is being written by another run", file: target, remedy: "Wait for it, or choose another name.")
      }
      // Its owner may have removed the folder before this process got the lock.
      var own = stat()
      if fstat(descriptor, &own) == 0, let there = OutputTarget.linkStatus(journal), there.st_ino == own.st_ino, there.st_dev == own.st_dev
      {
        self.path = path
        self.target = target
        self.descriptor = descriptor
        self.registration = Mutex(registration)
        hasLeftovers = (own.st_size > 0 || ((try? Files.list(path)) ?? []).count > 1)
        return
      }
      close(descriptor)
      InterruptCleanup.forget(registration) { true }
    }
  }

  /// From now on an interrupt removes the folder.
  func removeOnInterrupt() {
    registration.withLock { id in
      if id == nil { id = InterruptCleanup.remember(path) }
    }
  }

  /// Runs `body` so that no interrupt comes in the middle; if it returns true, an interrupt no longer removes the folder.
  func finish(_ body: () -> Bool) {
    InterruptCleanup.forget(registration.withLock { $0 }, after: body)
  }

  /// Whether a run has left its folder, or is working in it.
  package static func exists(for target: String) -> Bool { OutputTarget.linkStatus(path(for: target)) != nil }

  /// Adds bytes to the journal and flushes them to disk.
  package func append(_ bytes: [UInt8]) throws(Failure) {
    var done = 0
    guard lseek(descriptor, 0, SEEK_END) >= 0 else { throw failure() }
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { QuantPlatform.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure() }
      done += count
    }
    guard Platform.sync(descriptor) == 0 else { throw failure() }
  }

  /// Cuts the journal after its first `count` bytes.
  package func truncate(to count: Int) throws(Failure) {
    guard ftruncate(descriptor, off_t(count)) == 0 else { throw failure() }
  }

  private func failure() -> Failure {
    Failure(.io, "io.journal", "cannot be written: \(OutputTarget.errorText(errno))", file: journal)
  }

  /// Removes everything that earlier runs left, but not the folder and its lock.
  package func clear() throws(Failure) {
    WorkFolder.contents(path).filter { $0.path != journal }.forEach { $0.remove() }
    try truncate(to: 0)
  }

  /// Removes the folder with everything in it; the lock is released with the object.
  package func remove() { WorkFolder.remove(path) }

  /// Whether the path is a folder, not a link to one.
  private static func isOwn(_ path: String) -> Bool { OutputTarget.linkStatus(path).map { OutputTarget.isDirectory($0) } ?? false }

  /// Everything in the folder: files, and folders of files after their contents.
  private static func contents(_ path: String) -> [Entry] {
    guard isOwn(path) else { return [] }
    var found: [Entry] = []
    for name in (try? Files.list(path)) ?? [] {
      let entry = path + "/" + name
      let isFolder = OutputTarget.linkStatus(entry).map { OutputTarget.isDirectory($0) } ?? false
      if isFolder { found += ((try? Files.list(entry)) ?? []).map { Entry(path: entry + "/" + $0, isFolder: false) } }
      found.append(Entry(path: entry, isFolder: isFolder))
    }
    return found
  }

  private struct Entry {
    let path: String
    let isFolder: Bool
    func remove() { _ = isFolder ? rmdir(path) : unlink(path) }
  }

  /// Removes a folder and everything in it; also called after an interrupt.
  static func remove(_ path: String) {
    guard isOwn(path) else { return }
    // The journal is removed last: while it exists, a run that resumes knows that the output is complete.
    let journal = path + "/journal"
    contents(path).filter { $0.path != journal }.forEach { $0.remove() }
    unlink(journal)
    rmdir(path)
  }

  /// Beside the target, hidden, and recognizable to someone who finds one after a power cut. A name has at most 255 bytes.
  private static func path(for target: String) -> String {
    let name = String(decoding: OutputTarget.name(of: target).utf8.prefix(220), as: UTF8.self)
    return OutputTarget.folder(of: target) + "/." + name + ".qc-partial"
  }

  deinit { close(descriptor) }
}
