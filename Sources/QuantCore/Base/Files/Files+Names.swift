extension Files {
  /// The extension of a file name without the dot, or nil.
  public static func fileExtension(of path: String) -> String? {
    let name = lastComponent(path)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
    return String(name[name.index(after: dot)...])
  }

  /// The last component without its extension.
  public static func stem(of path: String) -> String {
    let name = lastComponent(path)
    guard let ending = fileExtension(of: name) else { return name }
    return String(name.dropLast(ending.count + 1))
  }

  /// A text file as a string.
  /// - Throws: `Failure` if it cannot be read or is not UTF-8.
  public static func readText(_ path: String) throws(Failure) -> String {
    let bytes = try read(path, maximumBytes: 1 << 32)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.data, "text.utf8", "is not UTF-8 text", file: path, remedy: "Convert it to UTF-8.")
    }
    return text
  }
}
