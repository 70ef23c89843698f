import CKernels
import QuantPlatform

/// Gives the files of a split output their names.
///
/// The first file is named last: clients open it first, so they find a complete output or none. The files get second names (hard
/// links), and afterwards the temporary ones are removed together: a run that is killed in between can be resumed, and one that
/// fails takes the names back. The files of an old output are kept in the work folder until then, the first before any other.
struct SplitNaming {
  private let files: [(name: String, target: String)]
  private let force: Bool
  private let work: WorkFolder
  private let output: OpenFolder
  private let layout: OutputLayout

  /// - Parameter output: the folder that holds the complete files.
  init(_ layout: OutputLayout, output: OpenFolder, work: WorkFolder, force: Bool) {
    files = zip(layout.files, layout.targets(work.target)).map { ($0.name, $1) }.reversed()
    self.output = output
    self.work = work
    self.force = force
    self.layout = layout
  }

  /// - Throws: `Failure` if a target appeared in the meantime or cannot be given its name; then the old files have theirs.
  func run() throws(Failure) {
    var moved: [(name: String, target: String)] = []
    do throws(Failure) {
      if force {
        for file in files { try OutputTarget.checkReplaceable(file.target, layout) }
        if let first = files.last { try check(work.moveAside(first.target), first.target) }
      }
      for file in files {
        if force { try check(work.moveAside(file.target), file.target) }
        if try name(file) { moved.append(file) }
      }
      // All names are given with this step.
      try check(renameat(work.folder.descriptor, WorkFolder.output, work.folder.descriptor, WorkFolder.named) == 0 ? 0 : errno, work.target)
    } catch {
      for file in moved { _ = renameat(AT_FDCWD, file.target, output.descriptor, file.name) }
      try work.restoreReplaced()
      throw error
    }
  }

  /// - Returns: whether the file has lost its temporary name.
  private func name(_ file: (name: String, target: String)) throws(Failure) -> Bool {
    let number = linkat(output.descriptor, file.name, AT_FDCWD, file.target, 0) == 0 ? 0 : errno
    // For a file system without hard links.
    guard [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(number) else {
      try check(number, file.target)
      return false
    }
    try check(qc_rename_new(output.descriptor, file.name, file.target), file.target)
    return true
  }

  private func check(_ number: Int32, _ target: String) throws(Failure) {
    guard number != 0 else { return }
    throw number == EEXIST ? OutputTarget.appeared(target) : OutputTarget.cannotName(target, number)
  }
}
