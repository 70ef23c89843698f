import QuantPlatform

/// An old output makes room for the new one: its names go to the new files one after another, and until all of them have, it is kept in
/// the work folder.
extension WorkFolder {
  /// Moves what has a name out of the way, if something has.
  /// - Returns: 0, or the error number.
  func moveAside(_ target: String) -> Int32 {
    guard OutputTarget.linkStatus(target) != nil else { return 0 }
    if mkdirat(folder.descriptor, WorkFolder.replaced, 0o700) != 0, errno != EEXIST { return errno }
    let place = WorkFolder.replaced + "/" + OutputTarget.name(of: target)
    return renameat(AT_FDCWD, target, folder.descriptor, place) == 0 ? 0 : errno
  }

  /// Undoes what a run did that could not give all names: the old output gets its names back, and new files lose theirs. Once a run has
  /// given the last name, there is nothing to undo.
  /// - Throws: `Failure` if the old output cannot be put back; it stays in this folder.
  func restoreReplaced() throws(Failure) {
    guard holdsOutput else { return }
    let parent = OutputTarget.folder(of: target)
    let output = try? OpenFolder(WorkFolder.output, in: folder)
    let old = try? OpenFolder(WorkFolder.replaced, in: folder)
    let (oldNames, newNames) = (old?.names() ?? [], output?.names() ?? [])
    for name in newNames where !oldNames.contains(name) && isSecondName(parent + "/" + name, of: output?.status(name)) {
      unlink(parent + "/" + name)
    }
    guard let old else { return }
    for name in oldNames {
      let target = parent + "/" + name
      let isFree = OutputTarget.linkStatus(target) == nil || isSecondName(target, of: output?.status(name))
      guard isFree, renameat(old.descriptor, name, AT_FDCWD, target) == 0 else {
        throw Failure(
          .io, "output.old-kept", "is the old output, whose name cannot be given back to it", file: old.path + "/" + name,
          remedy: "Move it to \(target) yourself.")
      }
    }
    unlinkat(folder.descriptor, WorkFolder.replaced, AT_REMOVEDIR)
  }

  private func isSecondName(_ path: String, of first: stat?) -> Bool {
    guard let first, first.st_mode & S_IFMT == S_IFREG, let there = OutputTarget.linkStatus(path) else { return false }
    return first.st_dev == there.st_dev && first.st_ino == there.st_ino
  }
}
