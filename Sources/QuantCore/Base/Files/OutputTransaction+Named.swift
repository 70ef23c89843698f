import QuantPlatform

extension OutputTransaction {
  /// Whether the complete output is already under its name: every file with its size, every placement with its hash, and every byte that
  /// is known in advance, slots excepted.
  /// - Parameter hashes: of all placements, by index.
  package static func isNamed(_ layout: OutputLayout, _ target: String, hashes: [Int: StreamHash.Digest]) -> Bool {
    guard layout.placements.indices.allSatisfy({ hashes[$0] != nil }) else { return false }
    let paths = replaced(layout, target)
    let files = paths.compactMap { path in
      // A link is somebody else's.
      OutputTarget.linkStatus(path).flatMap { $0.st_mode & S_IFMT == S_IFREG ? try? MappedFile(path) : nil }
    }
    guard files.count == layout.files.count, zip(files, layout.files).allSatisfy({ $0.count == $1.size }) else { return false }
    for (index, placement) in layout.placements.enumerated() {
      guard let hash = StreamHash(),
        let bytes = files[placement.file].contents.slice(placement.offset..<placement.offset + placement.byteCount)
      else { return false }
      bytes.withUnsafeBytes { hash.update($0) }
      guard hash.digest() == hashes[index] else { return false }
    }
    for (number, file) in layout.files.enumerated() {
      let slots = layout.slots.filter { $0.file == number }
      for literal in file.literals {
        guard let found = files[number].contents.slice(literal.offset..<literal.offset + literal.bytes.count)?.bytes else { return false }
        let differs = literal.bytes.indices.contains { index in
          found[index] != literal.bytes[index]
            && !slots.contains { ($0.offset..<$0.offset + $0.byteCount).contains(literal.offset + index) }
        }
        if differs { return false }
      }
    }
    return true
  }
}
