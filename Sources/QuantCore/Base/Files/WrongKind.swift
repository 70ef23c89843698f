/// Recognizes files that are given by mistake, so that the error says what the file is instead of where parsing failed.
public enum WrongKind {
  /// A failure if the bytes are clearly something other than the expected kind of file.
  /// - Parameters:
  ///   - view: the file from its first byte.
  ///   - expected: what the caller reads, as a message names it: `a GGUF file`; its own signature is not reported.
  public static func failure(_ view: ByteView, expected: String) -> Failure? {
    let start = view.withUnsafeBytes { [UInt8]($0.prefix(256)) }
    if start.starts(with: Array("version https://git-lfs".utf8)) {
      return Failure(
        .data, "input.lfs-pointer", "is a Git LFS pointer, not the file itself", byteOffset: 0,
        remedy: "Run 'git lfs pull' in the repository, or download the file.")
    }
    if isPage(start) {
      return Failure(
        .data, "input.html-page", "is a web page saved under the name of a checkpoint", byteOffset: 0,
        remedy: "Download the file again from its direct address, with access rights.")
    }
    for known in signatures where known.name != expected && start.starts(with: known.bytes) {
      return Failure(.data, "input.wrong-kind", "is \(known.name), not \(expected)", byteOffset: 0, remedy: known.remedy)
    }
    return nil
  }

  private static func isPage(_ start: [UInt8]) -> Bool {
    let text = String(decoding: start.drop { $0 <= 0x20 }.prefix(16), as: UTF8.self).lowercased()
    return text.hasPrefix("<!doctype html") || text.hasPrefix("<html")
  }

  /// A kind of file that is recognized by its first bytes.
  private struct Signature {
    var bytes: [UInt8]
    /// What the file is, for messages.
    var name: String
    var remedy: Remedy = "Convert it to safetensors or GGUF first."
  }

  private static let signatures = [
    Signature(bytes: Array("GGUF".utf8), name: "a GGUF file", remedy: "Give it the extension .gguf."),
    Signature(bytes: Array("PK\u{3}\u{4}".utf8), name: "a ZIP archive (PyTorch .bin or .pt)", remedy: "Give it the extension .bin."),
    // Old ggml files store their magic number in little-endian order, so it reads backwards.
    Signature(bytes: Array("tjgg".utf8), name: "a file in the old ggjt format"),
    Signature(bytes: Array("fmgg".utf8), name: "a file in the old ggmf format"),
    Signature(bytes: Array("lmgg".utf8), name: "a file in the old ggml format"),
    Signature(bytes: [0x1f, 0x8b], name: "a gzip archive"),
    Signature(bytes: [0x28, 0xb5, 0x2f, 0xfd], name: "a Zstandard archive"),
    // The first bytes of a pickle that PyTorch wrote before it used ZIP archives.
    Signature(bytes: [0x80, 0x02, 0x8a, 0x0a], name: "a PyTorch pickle"),
  ]
}
