import QuantPlatform

/// A folder that was opened. Whatever its path leads to by now, all that is done here is done in the folder that was opened, and no link
/// in it is followed.
final class OpenFolder: Sendable {
  /// The path as it was when it was opened.
  let path: String
  let descriptor: Int32

  /// The system's error number.
  struct Refused: Error { let number: Int32 }

  /// - Parameter parent: the folder that has an entry of this name; nil: `name` is a path.
  /// - Throws: `Refused`, with ELOOP or ENOTDIR if a link is in its place.
  init(_ name: String, in parent: OpenFolder? = nil) throws(Refused) {
    descriptor = openat(parent?.descriptor ?? AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    path = parent.map { $0.path + "/" + name } ?? name
    if descriptor < 0 { throw Refused(number: errno) }
  }

  /// Whether nobody but this user can change what is in it.
  var isOwn: Bool {
    var own = stat()
    return fstat(descriptor, &own) == 0 && own.st_uid == geteuid() && own.st_mode & (S_IWGRP | S_IWOTH) == 0
  }

  /// Whether its path still leads to it.
  var isInPlace: Bool {
    var own = stat()
    guard fstat(descriptor, &own) == 0, let there = OutputTarget.linkStatus(path) else { return false }
    return own.st_dev == there.st_dev && own.st_ino == there.st_ino
  }

  /// The status of an entry; nil if there is none.
  func status(_ name: String) -> stat? {
    var result = stat()
    return fstatat(descriptor, name, &result, AT_SYMLINK_NOFOLLOW) == 0 ? result : nil
  }

  /// Names of the entries, in no order; nil if they cannot be read.
  func names() -> [String]? {
    let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = fdopendir(copy) else {
      if copy >= 0 { close(copy) }
      return nil
    }
    defer { closedir(stream) }
    return OpenFolder.names(stream)
  }

  static func names(_ stream: OpaquePointer) -> [String] {
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  /// Removes an entry, a folder with everything in it.
  /// - Parameter depth: of folders that are emptied.
  func remove(_ name: String, depth: Int = 3) {
    guard unlinkat(descriptor, name, 0) != 0, errno == EISDIR || errno == EPERM, depth > 0, let folder = try? OpenFolder(name, in: self)
    else { return }
    for entry in folder.names() ?? [] { folder.remove(entry, depth: depth - 1) }
    unlinkat(descriptor, name, AT_REMOVEDIR)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
