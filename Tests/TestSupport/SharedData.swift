import QuantPlatform

/// Data that lies beside the project (`../shared`), and the fixtures inside it.
public enum SharedData {
  /// Root of the checkout.
  public static let projectRoot: String = {
    var parts = #filePath.split(separator: "/").map(String.init)
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// Path below `../shared`, or nil where that folder is absent (a user's clone): then the test says that it is skipped.
  public static func path(_ relative: String, for test: String = #function) -> String? {
    let path = projectRoot + "/../shared/" + relative
    if access(path, R_OK) == 0 { return path }
    print("skipped: \(test) needs ../shared/\(relative), which is not here")
    return nil
  }

  /// Path below `Tests/Fixtures`, which every clone has.
  public static func fixture(_ relative: String) -> String { projectRoot + "/Tests/Fixtures/" + relative }
}

/// A folder that is removed when the value goes away.
public final class TemporaryFolder: Sendable {
  public let path: String
  public init() {
    var template = Array("/tmp/qconvert-test-XXXXXX".utf8CString)
    path = template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress, let made = mkdtemp(base) else { return "/tmp" }
      return String(cString: made)
    }
  }
  deinit {
    if path != "/tmp" { _ = system("rm -rf '\(path)'") }
  }
  public func file(_ name: String) -> String { path + "/" + name }
}

/// The whole content of a file, or an empty array.
public func readFile(_ path: String) -> [UInt8] {
  guard let file = fopen(path, "rb") else { return [] }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = fread(&chunk, 1, chunk.count, file)
    if count == 0 { return bytes }
    bytes.append(contentsOf: chunk[0..<count])
  }
}

/// Writes a file.
public func writeFile(_ path: String, _ bytes: [UInt8]) {
  guard let file = fopen(path, "wb") else { return }
  fwrite(bytes, 1, bytes.count, file)
  fclose(file)
}
