package import QuantPlatform

/// The checks that a path must pass before anything is written there.
package enum OutputTarget {
  /// Checks every path of an output.
  /// - Parameter written: the folder that already holds its files. A run that is resumed may have given some of them their names.
  package static func check(
    _ layout: OutputLayout, _ target: String, force: Bool, inputs: [String], written: String? = nil
  ) throws(Failure) {
    for path in layout.targets(target) {
      if let written, isSameFile(path, written + "/" + name(of: path)) { continue }
      try check(path, layout, force: force, inputs: inputs)
    }
  }

  /// Whether two paths are names of one file.
  static func isSameFile(_ path: String, _ other: String) -> Bool {
    guard let a = linkStatus(path), let b = linkStatus(other) else { return false }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  /// Refuses a target that exists (without `force`) or may not be replaced, whose parent folder is missing, or that is the input. An
  /// empty folder is treated as if it did not exist.
  /// - Parameter inputs: all files that the run reads.
  private static func check(_ target: String, _ layout: OutputLayout, force: Bool, inputs: [String]) throws(Failure) {
    try refuseSpecial(target)
    let parent = folder(of: target)
    guard let parentStatus = status(parent), isDirectory(parentStatus) else {
      throw Failure(
        .cannotCreate, "output.parent", "the folder '\(parent)' does not exist", file: target, remedy: "Create it first.")
    }
    guard access(parent, W_OK | X_OK) == 0 else {
      throw Failure(
        .cannotCreate, "output.permission", "the folder '\(parent)' is not writable: \(errorText(errno))", file: target,
        remedy: "Choose another place, or change its permissions.")
    }
    guard !name(of: target).isEmpty, ![".", ".."].contains(name(of: target)) else {
      throw Failure(.cannotCreate, "output.name", "is not a valid name for an output", file: target)
    }
    guard let existing = try existing(target) else { return }
    // A dangling link has no status of what it leads to.
    if let followed = status(target) { try refuseInput(target, followed, inputs: inputs) }
    try refuseLink(target, existing)
    if layout.isFolder, isDirectory(existing), (try? names(in: target))?.isEmpty == true { return }
    guard force else {
      throw Failure(
        .cannotCreate, "output.exists", "already exists", file: target, remedy: "Give \(setting: "force") to replace it.")
    }
    try checkReplaceable(target, layout)
  }

  /// The status of what has a name; nil if nothing has.
  /// - Throws: `Failure` if that cannot be told.
  private static func existing(_ target: String) throws(Failure) -> stat? {
    if let status = linkStatus(target) { return status }
    guard errno != ENOENT else { return nil }
    throw Failure(
      .cannotCreate, "output.permission", "cannot be looked at: \(errorText(errno))", file: target)
  }

  /// What `--force` may replace: a file by a file; a folder by a folder, if it contains only what such an output contains.
  /// - Throws: `Failure` of kind cannotCreate for anything else; a path where nothing exists passes.
  static func checkReplaceable(_ target: String, _ layout: OutputLayout) throws(Failure) {
    guard let existing = linkStatus(target) else { return }
    try refuseSpecial(target)
    try refuseLink(target, existing)
    guard isDirectory(existing) == layout.isFolder else {
      throw Failure(
        .cannotCreate, "output.kind",
        layout.isFolder
          ? "is a file, but the output is a folder" : "is a folder, but the output is a file",
        file: target,
        remedy: "Remove it, or choose another name.")
    }
    if layout.isFolder { try checkContents(of: target, layout) }
  }

  /// Devices, pipes and sockets are never outputs: a rename would replace them by a file for every program.
  private static func refuseSpecial(_ target: String) throws(Failure) {
    guard let own = linkStatus(target) else { return }
    let isLink = own.st_mode & S_IFMT == S_IFLNK
    // The names of open files (/dev/stdout) are links to whatever was opened.
    let folder = isLink ? realPath(folder(of: target)) : nil
    let isOfSystem = folder.map { $0 == "/dev" || $0.hasPrefix("/proc/") } ?? false
    guard let kind = (isLink ? status(target) : own).flatMap({ special($0) }) ?? (isOfSystem ? "an open file" : nil) else { return }
    throw Failure(
      .cannotCreate, "output.special", "\(isLink ? "leads to" : "is") \(kind), which is never replaced", file: target,
      remedy: "Choose the name of a file; for a report on standard output use \(setting: "json").")
  }

  /// To follow a link may write into a folder that somebody else chose, and to replace it would leave what it leads to as it was, without
  /// a word.
  private static func refuseLink(_ target: String, _ existing: stat) throws(Failure) {
    guard existing.st_mode & S_IFMT == S_IFLNK else { return }
    throw Failure(
      .cannotCreate, "output.link", "is a symbolic link, which is neither followed nor replaced",
      file: target,
      remedy:
        "Give the path that it leads to\(realPath(target).map { ", \($0)" } ?? ""), or remove the link."
    )
  }

  /// The failure of a run whose output's name is not free any more.
  static func appeared(_ target: String) -> Failure {
    Failure(
      .cannotCreate, "output.exists", "was created by someone else in the meantime", file: target,
      remedy: "Give \(setting: "force") to replace it.")
  }

  /// The failure of a run whose output could not get its name.
  static func cannotName(_ target: String, _ number: Int32) -> Failure {
    Failure(.io, "io.rename", "cannot be given its final name: \(errorText(number))", file: target)
  }

  /// The name of a kind that is not a file, folder or link; nil for these.
  private static func special(_ status: stat) -> String? {
    switch status.st_mode & S_IFMT {
    case S_IFREG, S_IFDIR, S_IFLNK: nil
    case S_IFIFO: "a pipe"
    case S_IFSOCK: "a socket"
    default: "a device"
    }
  }

  /// The input may be given through a link, and an input folder's files may be deep below the target: devices and inodes
  /// of all folders above each input are compared, along the path as given and along the resolved one.
  private static func refuseInput(_ target: String, _ targetStatus: stat, inputs: [String]) throws(Failure) {
    for input in inputs {
      var candidates = [input] + foldersAbove(input)
      if let resolved = realPath(input) { candidates += [resolved] + foldersAbove(resolved) }
      for candidate in candidates {
        guard let other = status(candidate), other.st_dev == targetStatus.st_dev, other.st_ino == targetStatus.st_ino else { continue }
        throw Failure(
          .cannotCreate, "output.is-input", "is the input itself (\(input))", file: target, remedy: "Choose another output.")
      }
    }
  }

  /// A folder with anything in it that an output would not contain is somebody's work, and is never removed.
  /// - Parameter inner: the name, in the layout, of a folder inside the output with a slash after it; empty for the output itself.
  private static func checkContents(of path: String, _ layout: OutputLayout, inner: String = "") throws(Failure) {
    for name in try names(in: path) {
      guard let status = linkStatus(path + "/" + name) else { continue }
      if isDirectory(status) {
        guard layout.folders.contains(inner + name) else {
          throw Failure(
            .cannotCreate, "output.not-flat", "contains the folder '\(name)', so it is not replaced", file: path,
            remedy: "Remove it yourself, or choose another name.")
        }
        try checkContents(of: path + "/" + name, layout, inner: inner + name + "/")
        continue
      }
      guard special(status) == nil, layout.mayHold(inner + name) else {
        throw Failure(
          .cannotCreate, "output.foreign", "contains '\(name)', which is not an output file, so it is not replaced", file: path,
          remedy: "Move that file away, or choose another name.")
      }
    }
  }

  /// The names in a folder, in no order.
  private static func names(in path: String) throws(Failure) -> [String] {
    guard let directory = opendir(path) else {
      throw Failure(.cannotCreate, "output.permission", "cannot be read: \(errorText(errno))", file: path)
    }
    defer { closedir(directory) }
    return OpenFolder.names(directory)
  }

  /// The permissions of a file or folder, links followed; nil if it does not exist. What replaces it gets the same.
  static func permissions(of path: String) -> mode_t? { status(path).map { $0.st_mode & 0o777 } }

  // MARK: Paths

  /// The parent folder of a path; `.` for a bare name.
  static func folder(of path: String) -> String {
    let trimmed = trim(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  /// The last component of a path.
  package static func name(of path: String) -> String {
    let trimmed = trim(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return trimmed }
    return String(trimmed[trimmed.index(after: slash)...])
  }

  /// Without trailing slashes.
  package static func trim(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  private static func foldersAbove(_ path: String) -> [String] {
    var result: [String] = []
    var path = path
    while path != "." && path != "/" {
      path = folder(of: path)
      result.append(path)
    }
    return result
  }

  private static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  static func status(_ path: String) -> stat? {
    var result = stat()
    return stat(path, &result) == 0 ? result : nil
  }

  package static func linkStatus(_ path: String) -> stat? {
    var result = stat()
    return lstat(path, &result) == 0 ? result : nil
  }

  static func isDirectory(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }

  static func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }
}
