/// Recognises what people hand over by mistake, so that they hear what the file is instead of a parser's complaint.
public enum WrongKind {
  /// A failure where the bytes are clearly something other than a checkpoint of the expected kind.
  /// - Parameters:
  ///   - view: the file from its first byte.
  ///   - expected: what the caller reads: `safetensors` or `GGUF`; that kind's own signature is not reported.
  public static func failure(_ view: ByteView, expected: String) -> Failure? {
    let start = view.withUnsafeBytes { [UInt8]($0.prefix(256)) }
    if start.starts(with: Array("version https://git-lfs".utf8)) {
      return Failure(
        .data, "input.lfs-pointer", "is a Git LFS pointer, not the file itself", byteOffset: 0,
        remedy: "Run 'git lfs pull' in the repository, or download the file.")
    }
    if isPage(start) {
      return Failure(
        .data, "input.html-page", "is a web page saved under the name of a model file", byteOffset: 0,
        remedy: "Download the file again, with its direct address and with access rights.")
    }
    for (signature, kind) in signatures where kind != expected && start.starts(with: signature) {
      return Failure(
        .data, "input.wrong-kind", "is \(article(kind)), not \(article(expected))", byteOffset: 0,
        remedy: remedies[kind] ?? "Convert it to safetensors or GGUF first.")
    }
    return nil
  }

  private static func isPage(_ start: [UInt8]) -> Bool {
    let text = String(decoding: start.drop { $0 <= 0x20 }.prefix(16), as: UTF8.self).lowercased()
    return text.hasPrefix("<!doctype html") || text.hasPrefix("<html")
  }

  private static func article(_ kind: String) -> String {
    kind == "safetensors" ? "a safetensors file" : kind == "GGUF" ? "a GGUF file" : kind
  }

  /// What to do with a file of a kind that is read under another name.
  private static let remedies = ["GGUF": "Name it with the extension .gguf.", archive: "Name it with the extension .bin."]
  private static let archive = "a ZIP archive (PyTorch .bin or .pt)"

  /// First bytes, and what begins with them.
  private static let signatures: [(bytes: [UInt8], kind: String)] = [
    (Array("GGUF".utf8), "GGUF"),
    (Array("PK\u{3}\u{4}".utf8), archive),
    // Old ggml files store their magic number little-endian, so it reads backwards.
    (Array("tjgg".utf8), "a file in the old ggjt format"),
    (Array("fmgg".utf8), "a file in the old ggmf format"),
    (Array("lmgg".utf8), "a file in the old ggml format"),
    ([0x1f, 0x8b], "a gzip archive"),
    ([0x28, 0xb5, 0x2f, 0xfd], "a Zstandard archive"),
    // The opening of a pickle of protocol 2 to 5 that PyTorch wrote before it used ZIP archives.
    ([0x80, 0x02, 0x8a, 0x0a], "a PyTorch pickle"),
  ]
}
