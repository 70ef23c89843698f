import CKernels
import QuantPlatform

/// Gives the files of a split output their names.
///
/// The first file is named last: clients open it first, so they find a complete output or none. The files get second names (hard
/// links), and afterwards the temporary ones are removed together: a run that is killed in between can be resumed, and one that
/// fails takes the names back. When an old output is replaced, its first file is removed before anything else.
struct SplitNaming {
  private let files: [(temporary: String, target: String)]
  private let force: Bool
  private let temporary: String
  private let layout: OutputLayout

  init(_ layout: OutputLayout, target: String, temporary: String, force: Bool) {
    files = zip(layout.files, layout.targets(target)).map { (temporary + "/" + $0.name, $1) }.reversed()
    self.temporary = temporary
    self.force = force
    self.layout = layout
  }

  /// - Parameter aside: where the temporary folder is moved, so that all temporary names disappear at once.
  /// - Throws: `Failure` if a target appeared in the meantime or cannot be given its name; then none of them is there.
  func run(aside: String) throws(Failure) {
    for file in files where !OutputTarget.isSameFile(file.temporary, file.target) { try checkReplaceable(file.target) }
    if force, let first = files.last, !OutputTarget.isSameFile(first.temporary, first.target) { unlink(first.target) }
    var named: [(temporary: String, target: String)] = []
    do {
      for file in files {
        try name(file)
        named.append(file)
      }
    } catch {
      for file in named { takeBack(file) }
      throw error
    }
    _ = QuantPlatform.rename(temporary, aside)
  }

  private func checkReplaceable(_ target: String) throws(Failure) {
    if force { try OutputTarget.checkReplaceable(target, layout) }
  }

  private func name(_ file: (temporary: String, target: String)) throws(Failure) {
    if OutputTarget.isSameFile(file.temporary, file.target) { return }
    if force { unlink(file.target) }
    var number = link(file.temporary, file.target) == 0 ? 0 : errno
    // For a file system without hard links.
    if [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(number) { number = qc_rename_new(file.temporary, file.target) }
    guard number != 0 else { return }
    guard number != EEXIST else {
      throw Failure(
        .cannotCreate, "output.exists", "was created by someone else in the meantime", file: file.target,
        remedy: "Give \(setting: "force") to replace it.")
    }
    throw Failure(.io, "io.rename", "cannot be given its final name: \(OutputTarget.errorText(number))", file: file.target)
  }

  private func takeBack(_ file: (temporary: String, target: String)) {
    if OutputTarget.linkStatus(file.temporary) == nil {
      _ = QuantPlatform.rename(file.target, file.temporary)
    } else {
      unlink(file.target)
    }
  }
}
