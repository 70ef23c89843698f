import QuantPlatform

/// Bytes for readers that take a path: a file in memory, of this process alone.
enum InputFile {
  private static let folder: String = {
    var template = Array("/dev/shm/qconvert-parser-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no folder in /dev/shm") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    atexit { InputFile.remove() }
    return path
  }()

  private static func remove() { _ = system("rm -rf '\(folder)'") }

  static func use(_ bytes: [UInt8], name: String, _ body: (String) -> Void) {
    let path = folder + "/" + name
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0, bytes.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == bytes.count else {
      fatalError("\(path) cannot be written")
    }
    close(descriptor)
    body(path)
  }
}
