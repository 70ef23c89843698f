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
