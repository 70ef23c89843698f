public import QuantCore

extension CompanionFiles {
  /// Refuses files that have an entry in the folder and cannot be read: a link to what is not there (a cache of the Hub that lost a file),
  /// a pipe, a folder. To leave them out would give another model.
  /// - Throws: `Failure` `input.…` that names the entry.
  public static func checkReadable(_ names: [String], in folder: String) throws(Failure) {
    let present = Set(try Files.list(folder))
    for name in names where present.contains(name) {
      let path = Files.join(folder, name)
      try Files.checkExists(path)
      guard Files.isFile(path) else {
        throw Failure(
          .noInput, "input.not-a-file", "is \(Files.isFolder(path) ? "a folder" : "a pipe or a device"), not a file", file: path,
          remedy: "Replace it by the file, or remove it.")
      }
    }
  }

  /// Whether a file of a folder is a link that leads out of it, and not to the blobs of the Hub's cache that the folder is in. What such a
  /// link leads to was not given with the model, and is not copied.
  /// - Parameter folder: the model's folder; nil: the one that the file is in.
  public static func leadsOutside(_ path: String, of folder: String? = nil) -> Bool {
    guard Files.linkTarget(path) != nil, let real = Files.resolved(path),
      let folder = Files.resolved(folder ?? Files.folder(of: path))
    else { return false }
    if real.hasPrefix(folder + "/") { return false }
    // models--ORGANISATION--NAME/snapshots/COMMIT, with links to models--ORGANISATION--NAME/blobs.
    guard let snapshots = folder.ranges(of: "/snapshots/").last?.lowerBound,
      folder[..<snapshots].split(separator: "/").last?.hasPrefix("models--") == true
    else { return true }
    return !real.hasPrefix(folder[..<snapshots] + "/blobs/")
  }
}
