import QuantPlatform

/// The checks that a path must pass before anything is written there.
enum OutputTarget {
  /// The same for everything that an output is made of.
  /// - Parameter written: the folder in which its files lie already, where a run that is continued may have given some of them
  ///   their names.
  static func check(
    _ layout: OutputLayout, _ target: String, force: Bool, inputs: [String], written: String? = nil
  ) throws(Failure) {
    for path in layout.targets(target) {
      if let written, isSameFile(path, written + "/" + name(of: path)) { continue }
      try check(path, isFolder: layout.isFolder, force: force, inputs: inputs)
    }
  }

  /// Whether two paths are names of one file.
  static func isSameFile(_ path: String, _ other: String) -> Bool {
    guard let a = linkStatus(path), let b = linkStatus(other) else { return false }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  /// Refuses a target that exists (without `force`), that has no folder to lie in, or that is the input.
  /// - Parameters:
  ///   - isFolder: whether the output is a folder.
  ///   - inputs: all files that the run reads.
  static func check(_ target: String, isFolder: Bool, force: Bool, inputs: [String]) throws(Failure) {
    let parent = folder(of: target)
    guard let parentStatus = status(parent), isDirectory(parentStatus) else {
      throw Failure(
        .cannotCreate, "output.parent", "the folder '\(parent)' does not exist", file: target, remedy: "Create it first.")
    }
    guard access(parent, W_OK | X_OK) == 0 else {
      throw Failure(
        .cannotCreate, "output.permission", "the folder '\(parent)' cannot be written: \(errorText(errno))", file: target,
        remedy: "Choose another place, or change its permissions.")
    }
    guard !name(of: target).isEmpty, ![".", ".."].contains(name(of: target)) else {
      throw Failure(.cannotCreate, "output.name", "this is not a name for an output", file: target)
    }
    guard let existing = linkStatus(target) else { return }
    // A dangling link has no status of its own target; it is replaced like any file.
    if let followed = status(target) { try refuseInput(target, followed, inputs: inputs) }
    guard force else {
      throw Failure(
        .cannotCreate, "output.exists", "exists already", file: target, remedy: "Give --force to replace it.")
    }
    guard isDirectory(existing) == isFolder else {
      throw Failure(
        .cannotCreate, "output.kind", isFolder ? "is a file, and the output is a folder" : "is a folder, and the output is a file",
        file: target, remedy: "Remove it, or choose another name.")
    }
    if isFolder { _ = try flatContents(of: target) }
  }

  /// The input may be given through a link, and an input folder's files may lie deep below the target: devices and inodes
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

  /// The files of a folder that is to be replaced. A folder with folders in it is no output of ours and is never removed.
  static func flatContents(of path: String) throws(Failure) -> [String] {
    guard let directory = opendir(path) else {
      throw Failure(.cannotCreate, "output.permission", "cannot be read: \(errorText(errno))", file: path)
    }
    defer { closedir(directory) }
    var files: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      guard let entryStatus = linkStatus(path + "/" + name), !isDirectory(entryStatus) else {
        throw Failure(
          .cannotCreate, "output.not-flat", "holds the folder '\(name)', so it is not replaced", file: path,
          remedy: "Remove it yourself, or choose another name.")
      }
      files.append(path + "/" + name)
    }
    return files
  }

  // MARK: Paths

  /// The folder that a path lies in; `.` for a bare name.
  static func folder(of path: String) -> String {
    let trimmed = trim(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  /// The last component of a path.
  static func name(of path: String) -> String {
    let trimmed = trim(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return trimmed }
    return String(trimmed[trimmed.index(after: slash)...])
  }

  /// Without trailing slashes.
  static func trim(_ path: String) -> String {
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

  static func linkStatus(_ path: String) -> stat? {
    var result = stat()
    return lstat(path, &result) == 0 ? result : nil
  }

  static func isDirectory(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }

  static func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }
}
