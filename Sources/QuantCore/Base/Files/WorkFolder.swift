import CKernels
import QuantPlatform
import Synchronization

/// The hidden folder beside a target in which a run keeps what is not finished: the output, its journal, and whatever else
/// a resumed run needs.
///
/// There is one for each target, and it belongs to the process that has locked its journal. The lock ends with its process,
/// however that ends: the files in a folder that can be locked were left by a dead run. Everything is done in the folder that was opened:
/// a link or a folder that takes its place later is left alone.
public final class WorkFolder: Sendable {
  /// Path of the folder.
  public let path: String
  /// Whether an earlier run left something.
  public let hasLeftovers: Bool
  let target: String
  let folder: OpenFolder
  private let descriptor: Int32
  /// Nil if the folder must survive an interrupt, or holds what an earlier run left.
  private let registration: Mutex<Int?>

  /// The output while it is being written: a file or a folder.
  static let output = "output"
  /// Where an old output is while its names go to the new one, under the same names. What is here is somebody's only copy.
  static let replaced = "replaced"
  /// Where the files of a split output go when all of them have second names.
  static let named = "named"

  /// The output while it is being written: a file or a folder.
  package var output: String { path + "/" + WorkFolder.output }
  /// The record of what is finished, one line each; this file is also the lock.
  package var journal: String { path + "/journal" }

  /// A file beside the output.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Creates a file beside the output, or opens what is there.
  package func makeFile(_ name: String, size: Int) throws(Failure) -> OutputFile {
    try OutputFile(path: file(name), in: folder, size: size)
  }

  /// Whether a run has something that is not named yet.
  package var holdsOutput: Bool { folder.status(WorkFolder.output) != nil }

  /// How often a folder is looked for that others create and remove at the same time.
  private static let attempts = 1000

  /// Creates the folder, or takes over what a dead run left. If that was giving names to its output, it is undone.
  /// - Parameter isKept: whether the folder survives an interrupt.
  /// - Throws: `Failure` `output.busy` if a live run has it, `output.work-link` if a link is in its place, `output.work-foreign` if
  ///   somebody else can write there, `output.create` if it cannot be created.
  public convenience init(for target: String, isKept: Bool = false) throws(Failure) {
    for _ in 0..<WorkFolder.attempts {
      guard let opened = try WorkFolder.open(for: target, isKept: isKept) else { continue }
      self.init(opened, target)
      try restoreReplaced()
      return
    }
    throw WorkFolder.cannotCreate(WorkFolder.path(for: target), EBUSY)
  }

  private struct Opened {
    let folder: OpenFolder
    let journal: Int32
    let registration: Int?
  }

  private init(_ opened: Opened, _ target: String) {
    path = opened.folder.path
    self.target = target
    folder = opened.folder
    descriptor = opened.journal
    registration = Mutex(opened.registration)
    var own = stat()
    hasLeftovers = (fstat(descriptor, &own) == 0 && own.st_size > 0) || folder.names()?.count != 1
  }

  /// - Returns: nil if another process removed the folder in the meantime.
  private static func open(for target: String, isKept: Bool) throws(Failure) -> Opened? {
    let path = path(for: target)
    let ((folder, journal, number), registration) = InterruptCleanup.create(remembering: path) {
      () -> ((OpenFolder?, Int32, Int32), Bool) in
      // Nobody else may put anything there.
      let isNew = mkdir(path, 0o700) == 0
      if !isNew, errno != EEXIST { return ((nil, -1, errno), false) }
      do throws(OpenFolder.Refused) {
        let folder = try OpenFolder(path)
        let journal =
          folder.isOwn
          ? openat(folder.descriptor, "journal", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
          : -1
        let number = errno
        if journal < 0, isNew { rmdir(path) }
        return ((folder, journal, number), isNew && journal >= 0 && !isKept)
      } catch {
        if isNew { rmdir(path) }
        return ((nil, -1, error.number), false)
      }
    }
    guard let folder, journal >= 0 else {
      if number == ENOENT { return nil }
      throw refusal(path, folder, number)
    }
    // Its owner may have removed the folder before this process got the lock.
    let isBusy = flock(journal, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    var own = stat()
    let there = folder.status("journal")
    let isThere = fstat(journal, &own) == 0 && there?.st_ino == own.st_ino && folder.isInPlace
    if !isBusy, isThere {
      return Opened(folder: folder, journal: journal, registration: registration)
    }
    close(journal)
    InterruptCleanup.forget(registration) { true }
    guard isBusy else { return nil }
    throw Failure(
      .cannotCreate, "output.busy", "is being written by another run", file: target,
      remedy: "Wait for it, or choose another name.")
  }

  private static func refusal(_ path: String, _ folder: OpenFolder?, _ number: Int32) -> Failure {
    if folder == nil, let there = OutputTarget.linkStatus(path), there.st_mode & S_IFMT == S_IFLNK {
      return Failure(
        .cannotCreate, "output.work-link",
        "is a symbolic link in the place of the work folder, and is not followed", file: path,
        remedy: "Remove the link, or choose another output.")
    }
    if let folder, !folder.isOwn {
      return Failure(
        .cannotCreate, "output.work-foreign",
        "is in the place of the work folder, and another user can write there", file: path,
        remedy: "Remove the folder, or choose another output.")
    }
    return cannotCreate(path, number)
  }

  private static func cannotCreate(_ path: String, _ number: Int32) -> Failure {
    Failure(
      .cannotCreate, "output.create", "cannot be created: \(OutputTarget.errorText(number))",
      file: path)
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

  /// Whether anything is recorded.
  var hasJournal: Bool {
    var own = stat()
    return fstat(descriptor, &own) == 0 && own.st_size > 0
  }

  /// Adds bytes to the journal and flushes them to disk. If that fails, the journal is as it was.
  package func append(_ bytes: [UInt8]) throws(Failure) {
    let end = lseek(descriptor, 0, SEEK_END)
    guard end >= 0 else { throw failure() }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { QuantPlatform.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let failure = failure()
        // A line that was begun would be taken for the beginning of the next.
        try? truncate(to: Int(end))
        throw failure
      }
      done += count
    }
    let number = Platform.sync(descriptor)
    guard number == 0 else { throw failure(number) }
  }

  /// Cuts the journal after its first `count` bytes.
  package func truncate(to count: Int) throws(Failure) {
    while ftruncate(descriptor, off_t(count)) != 0 {
      guard errno == EINTR else { throw failure() }
    }
  }

  private func failure(_ number: Int32 = errno) -> Failure {
    Failure(
      .io, "io.journal", "cannot be written: \(OutputTarget.errorText(number))", file: journal)
  }

  /// Removes everything that earlier runs left, but not the folder and its lock.
  package func clear() throws(Failure) {
    for name in folder.names() ?? [] where name != "journal" { folder.remove(name) }
    try truncate(to: 0)
  }

  /// Removes the folder with everything in it; the lock is released with the object.
  /// - Returns: whether it is gone. An old output that could not be given its names back is never removed.
  @discardableResult
  package func remove() -> Bool {
    if holdsOutput, let old = try? OpenFolder(WorkFolder.replaced, in: folder), old.names() != [] {
      return false
    }
    WorkFolder.empty(folder)
    if folder.isInPlace { rmdir(path) }
    return !folder.isInPlace
  }

  /// Removes a folder and everything in it; also called after an interrupt.
  static func remove(_ path: String) {
    guard let folder = try? OpenFolder(path), folder.isOwn else { return }
    empty(folder)
    rmdir(path)
  }

  /// The journal is removed last: while it exists, a run that resumes knows that the output is complete.
  private static func empty(_ folder: OpenFolder) {
    for name in folder.names() ?? [] where name != "journal" { folder.remove(name) }
    if folder.names() == ["journal"] { folder.remove("journal") }
  }

  /// Beside the target, hidden, and recognizable to someone who finds one after a power cut. A name has at most 255 bytes.
  private static func path(for target: String) -> String {
    let name = String(decoding: OutputTarget.name(of: target).utf8.prefix(220), as: UTF8.self)
    return OutputTarget.folder(of: target) + "/." + name + ".qc-partial"
  }

  deinit { close(descriptor) }
}
