import QuantPlatform

/// Paths and small files.
public enum Files {
  /// The whole content of a small file.
  /// - Parameter maximumBytes: refuses larger files before reading them.
  /// - Throws: `Failure` as `MappedFile`, or `limit.file-size`.
  public static func read(_ path: String, maximumBytes: Int) throws(Failure) -> [UInt8] {
    try map(path, maximumBytes: maximumBytes).contents.bytes
  }

  /// A file mapped into memory after its size was checked.
  /// - Throws: `Failure` as `MappedFile`, or `limit.file-size`.
  public static func map(_ path: String, maximumBytes: Int) throws(Failure) -> MappedFile {
    let file = try MappedFile(path)
    guard file.count <= maximumBytes else {
      throw Failure(
        .data, "limit.file-size", "has \(file.count) bytes, but at most \(maximumBytes) are read", file: path,
        remedy: "Check that this is the right file.")
    }
    return file
  }

  /// Names of the entries of a folder in byte order, without `.` and `..`.
  /// - Throws: `Failure` `input.missing`, `input.unreadable`, `input.not-a-folder`.
  public static func list(_ folder: String) throws(Failure) -> [String] {
    guard let stream = opendir(folder) else {
      if errno == ENOTDIR, exists(folder) {
        throw Failure(.noInput, "input.not-a-folder", "is not a folder", file: folder)
      }
      throw failure(errno, opening: folder)
    }
    defer { closedir(stream) }
    return OpenFolder.names(stream).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Whether something can be reached at the path (a dangling link cannot).
  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Checks that something can be reached at a path.
  /// - Throws: `Failure` `input.missing`, `input.dangling-link`, `input.symlink-loop`, `input.unreadable`.
  public static func checkExists(_ path: String) throws(Failure) {
    var status = stat()
    guard stat(path, &status) != 0 else { return }
    let number = errno
    guard number == ENOENT, let target = linkTarget(path) else { throw failure(number, opening: path) }
    throw Failure(
      .noInput, "input.dangling-link", "is a symbolic link to \(target), which does not exist", file: path,
      remedy: "Restore the file (download the model again if this is the Hub's cache), or remove the link.")
  }

  /// Whether the path leads to a folder.
  public static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether the path leads to a regular file.
  public static func isFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// What a symbolic link says; nil if the path is not one.
  public static func linkTarget(_ path: String) -> String? {
    var bytes = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &bytes, bytes.count)
    return count >= 0
      ? String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }

  /// The path without links; nil if it leads nowhere.
  public static func resolved(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// `folder/name`.
  public static func join(_ folder: String, _ name: String) -> String {
    folder.isEmpty ? name : folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }

  /// The last component of a path; trailing slashes do not count.
  public static func lastComponent(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// The parent folder of a path; `.` for a bare name.
  public static func folder(of path: String) -> String {
    var bytes = path.utf8[...]
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    let folder = bytes[..<slash]
    return folder.isEmpty ? "/" : String(folder) ?? "."
  }

  /// Whether a name can be that of one entry of a folder: not empty, no separator, not `.` or `..`, no NUL.
  public static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
  }

  /// The failure for the system's error number after an attempt to open a path.
  public static func failure(_ code: Int32, opening path: String) -> Failure {
    switch code {
    case ENOENT, ENOTDIR:
      Failure(.noInput, "input.missing", "does not exist", file: path, remedy: "Check the path.")
    case ELOOP:
      Failure(.noInput, "input.symlink-loop", "is a symbolic link that leads back to itself", file: path)
    case EACCES, EPERM:
      Failure(.noInput, "input.unreadable", "cannot be read by this user", file: path, remedy: "Check its permissions.")
    default:
      Failure(.noInput, "input.unreadable", "cannot be read: \(String(cString: strerror(code)))", file: path)
    }
  }
}
