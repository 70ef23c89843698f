/// Short identities of texts and files: XXH3-128 in hexadecimal. They tell versions apart; they do not protect against forgery.
public enum Fingerprint {
  /// How many bytes at the start of a file identify it: they include the header of a checkpoint, or all of a configuration.
  public static let headLength = 1 << 20

  /// The fingerprint of a text, in UTF-8.
  public static func of(_ text: String) -> String {
    var text = text
    return text.withUTF8 { of(UnsafeRawBufferPointer($0)) }
  }

  /// The size of a file and the fingerprint of its first bytes; the rest is not read.
  /// - Throws: `Failure` as `MappedFile`.
  public static func ofHead(_ path: String) throws(Failure) -> (bytes: Int, hash: String) {
    let file = try MappedFile(path)
    let head = file.contents.slice(0..<min(file.count, headLength)) ?? file.contents
    return (file.count, head.withUnsafeBytes { of($0) })
  }

  /// Lengths and places of what is read by `ofSamples`.
  private static let sample = (length: 4096, count: 256)

  /// The size of a file and the fingerprint of its first bytes and of pages all over it: another model differs in nearly all of them.
  /// - Throws: `Failure` as `MappedFile`.
  package static func ofSamples(_ path: String) throws(Failure) -> (bytes: Int, hash: String) {
    let file = try MappedFile(path)
    guard let hash = StreamHash() else {
      throw Failure(.io, "io.memory", "out of memory", file: path)
    }
    let head = min(file.count, 1 << 16)
    file.contents.slice(0..<head)?.withUnsafeBytes { hash.update($0) }
    // Dividing first cannot overflow.
    let stride = max(sample.length, (file.count - head) / sample.count)
    for start in Swift.stride(from: head, to: file.count, by: stride) {
      file.contents.slice(start..<min(start + sample.length, file.count))?.withUnsafeBytes {
        hash.update($0)
      }
    }
    file.contents.slice(max(0, file.count - sample.length)..<file.count)?.withUnsafeBytes {
      hash.update($0)
    }
    return (file.count, hash.digest().hexadecimal)
  }

  /// The fingerprint of whole files, one after another.
  /// - Throws: `Failure` as `MappedFile`.
  package static func of(files: [String]) throws(Failure) -> String {
    let hash = StreamHash()
    for file in files { try MappedFile(file).contents.withUnsafeBytes { hash?.update($0) } }
    return hash?.digest().hexadecimal ?? ""
  }

  package static func of(_ bytes: UnsafeRawBufferPointer) -> String {
    let hash = StreamHash()
    hash?.update(bytes)
    return hash?.digest().hexadecimal ?? ""
  }
}
