import CKernels
import QuantPlatform
import Synchronization

/// The output gets its name.
extension OutputTransaction {
  /// The second half of `commit`. If nothing can be said of the disk afterwards, the journal stays, so that the same command can go on.
  /// - Returns: the work folder if it could not be removed.
  @discardableResult public func giveName() throws(Failure) -> String? {
    var failure: Failure?
    var left: String?
    // Under the registry's lock: an interrupt comes before this, and removes the temporaries, or after it, and leaves the output.
    work.finish {
      do throws(Failure) { try moveIntoPlace() } catch {
        failure = error
        return false
      }
      do throws(Failure) { try OutputTransaction.syncParent(of: target) } catch { failure = notSynced(error) }
      if failure == nil || !work.hasJournal { left = work.remove() ? nil : work.path }
      state.withLock { $0.isOver = true }
      return true
    }
    if let failure { throw failure }
    return left
  }

  private func notSynced(_ cause: Failure) -> Failure {
    var failure = cause
    failure.message = "is complete and has its name, but its folder \(cause.message)"
    failure.file = target
    if work.hasJournal {
      failure.message += "; \(work.path) stays"
      failure.remedy = "Give the same command again, which only finishes this."
    } else {
      failure.remedy = "Check the disk, and that the file is still there."
    }
    return failure
  }

  private func moveIntoPlace() throws(Failure) {
    let (files, folder) = try current { ($0.files, $0.folder) }
    for (file, replaced) in zip(files, OutputTransaction.replaced(layout, target)) {
      if let mode = OutputTarget.permissions(of: replaced) { file.set(permissions: mode) }
    }
    if layout.isSplit, let folder { return try SplitNaming(layout, output: folder, work: work, force: force).run() }
    let number = qc_rename_new(work.folder.descriptor, WorkFolder.output, target)
    switch number {
    case 0: return
    case EEXIST where force: try replace()
    case EEXIST: try takeEmptyFolder()
    // The file system does not know the flag: check first, which leaves a short gap, then rename.
    case EINVAL, ENOSYS, ENOTSUP:
      guard OutputTarget.linkStatus(target) != nil else { return try plainRename() }
      if force { try replace() } else { try takeEmptyFolder() }
    default: throw OutputTarget.cannotName(target, number)
    }
  }

  /// A folder replaces an empty one in one rename, which the system refuses if something is in it.
  private func takeEmptyFolder() throws(Failure) {
    guard layout.isFolder else { throw OutputTarget.appeared(target) }
    guard renameat(work.folder.descriptor, WorkFolder.output, AT_FDCWD, target) != 0 else { return }
    if [EEXIST, ENOTEMPTY, ENOTDIR].contains(errno) { throw OutputTarget.appeared(target) }
    throw OutputTarget.cannotName(target, errno)
  }

  private func plainRename() throws(Failure) {
    if renameat(work.folder.descriptor, WorkFolder.output, AT_FDCWD, target) != 0 { throw OutputTarget.cannotName(target, errno) }
  }

  /// A file is replaced by one rename. A folder is swapped with the old one, which is removed with the work folder: at every
  /// moment the name leads to a complete folder. A file system that cannot swap needs two renames; the next run undoes the first if this
  /// one does not come to the second.
  private func replace() throws(Failure) {
    try OutputTarget.checkReplaceable(target, layout)
    guard layout.isFolder else { return try plainRename() }
    let number = qc_rename_exchange(work.folder.descriptor, WorkFolder.output, target)
    if number == 0 { return }
    guard [EINVAL, ENOSYS, ENOTSUP].contains(number) else { throw OutputTarget.cannotName(target, number) }
    let aside = work.moveAside(target)
    if aside != 0 { throw OutputTarget.cannotName(target, aside) }
    do throws(Failure) { try plainRename() } catch {
      try work.restoreReplaced()
      throw error
    }
  }

  /// Flushes the folder that has the name of a target to disk.
  package static func syncParent(of target: String) throws(Failure) {
    let path = OutputTarget.folder(of: target)
    // The user may have given a link to it.
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.io, "io.sync", "cannot be opened: \(OutputTarget.errorText(errno))", file: path) }
    defer { close(descriptor) }
    try sync(descriptor, path)
  }

  static func sync(_ folder: OpenFolder) throws(Failure) { try sync(folder.descriptor, folder.path) }

  private static func sync(_ descriptor: Int32, _ path: String) throws(Failure) {
    let number = Platform.sync(descriptor)
    // Some file systems cannot sync a folder and report it; nothing better can be done there.
    if number != 0, number != EINVAL, number != EROFS {
      throw Failure(.io, "io.sync", "cannot be flushed to disk: \(OutputTarget.errorText(number))", file: path)
    }
  }
}
