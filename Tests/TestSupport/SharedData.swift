import QuantCore
import QuantPlatform

/// Data beside the project (`../shared`), and the fixtures inside it.
public enum SharedData {
  /// Root of the checkout.
  public static let projectRoot: String = {
    var parts = #filePath.split(separator: "/").map(String.init)
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// Path below `../shared`, which only the project's own machines have. A test that reads it has the trait
  /// `.enabled(if: SharedData.has(...))`, so that it shows up as skipped in a clone.
  public static func path(_ relative: String) -> String { projectRoot + "/../shared/" + relative }

  /// Whether this can be read.
  public static func has(_ relative: String) -> Bool { access(path(relative), R_OK) == 0 }

  /// Path below `Tests/Fixtures`, which every clone has.
  public static func fixture(_ relative: String) -> String { projectRoot + "/Tests/Fixtures/" + relative }
}

/// Folders that the tools that define a layout wrote, with the weights that their own libraries read from them.
public enum Golden {
  /// The cut copy in every clone (`Fixtures/golden/cut.py`): both blocks of a model, or five of its layers.
  public static func cut(_ name: String) -> String { SharedData.fixture("golden/" + name) }

  /// The whole folder.
  public static func whole(_ name: String) -> String { SharedData.path("golden/" + name) }

  public static let areWholeHere = SharedData.has("golden")

  /// The folders whose cut copies have both blocks and embeddings, so that they still give the recorded logits.
  public static let cutModels: Set<String> = [
    "bnb-nf4-double", "ct-fp8-block", "ct-fp8-kv", "ct-fp8-static", "ct-mxfp4a16", "ct-nvfp4", "ct-sq-w8a8-static", "gptqmodel-gptq2",
    "gptqmodel-gptq4-desc",
  ]

  /// The number of quantized layers in the cut copy.
  public static func cutLayers(_ name: String) -> Int { cutModels.contains(name) ? 14 : 5 }
}

/// A folder that is removed when the object is released.
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
    if path != "/tmp" { TemporaryFolder.remove(path) }
  }
  public func file(_ name: String) -> String { path + "/" + name }

  /// Not by `rm`: a process that is being started holds the locks of other tests for a moment.
  private static func remove(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in (try? Files.list(path)) ?? [] { remove(path + "/" + name) }
      rmdir(path)
    } else {
      unlink(path)
    }
  }
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
