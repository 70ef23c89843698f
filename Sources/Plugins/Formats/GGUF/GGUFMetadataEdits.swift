import QuantCore

/// The user's edits of the metadata of an output, and which keys they must not change.
enum GGUFMetadataEdits {
  /// Keys that describe the layout of the file, which only the writer knows.
  private static let layoutKeys: Set<String> = ["general.alignment", "split.no", "split.count", "split.tensors.count"]

  /// - Throws: `Failure` of kind usage for an edit that would make a file that clients misread or refuse.
  static func apply(_ request: OutputRequest, to values: inout KeyValues) throws(Failure) {
    for edit in request.metadataEdits {
      try check(edit, values)
      values[edit.key] = edit.value
    }
    guard !request.metadataEdits.isEmpty else { return }
    var warnings: [String] = []
    do {
      try GGUFModelChecks(metadata: values, keyOffsets: [:], tensors: request.source.tensors).run(&warnings)
    } catch {
      throw Failure(.usage, "metadata.refused", "after these changes, " + error.message, remedy: "Omit this change.")
    }
  }

  private static func check(_ edit: MetadataEdit, _ values: KeyValues) throws(Failure) {
    func refused(_ message: String, _ remedy: Remedy) -> Failure {
      Failure(.usage, "metadata.refused", "'\(edit.key)' " + message, remedy: remedy)
    }
    if layoutKeys.contains(edit.key) {
      throw refused("describes the layout of the file and cannot be set", "Omit it; split the output with \(setting: "shard-size").")
    }
    guard let value = edit.value else {
      if edit.key == "general.architecture" { throw refused("is needed by every client", "Set another value instead.") }
      guard values[edit.key] != nil else {
        throw refused("is not in the metadata", "List the keys with \(command: "inspect").")
      }
      return
    }
    guard edit.key.utf8.count <= GGUFHeader.maximumKeyBytes, edit.key.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
      throw refused("is not a valid key", "Use visible ASCII characters, at most \(GGUFHeader.maximumKeyBytes).")
    }
    if let old = values[edit.key], !old.hasType(of: value) {
      throw refused(
        "has another type, and clients are strict about types", "Give a value of its type, or drop it too with \(setting: "drop-meta").")
    }
  }
}

extension MetadataValue {
  /// Whether GGUF stores both with the same type, including the types of list elements.
  fileprivate func hasType(of other: MetadataValue) -> Bool {
    func type(_ value: MetadataValue) -> [UInt8] {
      var writer = GGUFWriter()
      writer.append(value)
      return Array(writer.bytes.prefix(writer.bytes.starts(with: [9, 0, 0, 0]) ? 8 : 4))
    }
    return type(self) == type(other)
  }
}
