import QuantCore

/// Changes that a person makes to the metadata of an output, and what they may not change.
enum GGUFMetadataEdits {
  /// Keys that say how the file is laid out: the writer alone knows.
  private static let layoutKeys: Set<String> = ["general.alignment", "split.no", "split.count", "split.tensors.count"]

  /// - Throws: `Failure` of kind usage for a change that would make a file that readers misread or refuse.
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
      throw Failure(.usage, "metadata.refused", "after --set-meta and --drop-meta, " + error.message, remedy: "Leave this change out.")
    }
  }

  private static func check(_ edit: MetadataEdit, _ values: KeyValues) throws(Failure) {
    func refused(_ message: String, _ remedy: String) -> Failure {
      Failure(.usage, "metadata.refused", "'\(edit.key)' " + message, remedy: remedy)
    }
    if layoutKeys.contains(edit.key) {
      throw refused("says how the file is laid out, and is written as that is", "Leave it out; --shard-size splits an output.")
    }
    guard let value = edit.value else {
      if edit.key == "general.architecture" { throw refused("is what every reader asks for first", "Give it another value instead.") }
      guard values[edit.key] != nil else {
        throw refused("is not in the metadata", "'qconvert inspect' lists what is there.")
      }
      return
    }
    guard edit.key.utf8.count <= GGUFHeader.maximumKeyBytes, edit.key.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
      throw refused("is no key", "Use visible ASCII characters, at most \(GGUFHeader.maximumKeyBytes).")
    }
    if let old = values[edit.key], !old.hasType(of: value) {
      throw refused("has another type, and readers are strict about types", "Give the type it has, or drop it too with --drop-meta.")
    }
  }
}

extension MetadataValue {
  /// Whether both are stored under one type of GGUF, lists under that of their elements too.
  fileprivate func hasType(of other: MetadataValue) -> Bool {
    func type(_ value: MetadataValue) -> [UInt8] {
      var writer = GGUFWriter()
      writer.append(value)
      return Array(writer.bytes.prefix(writer.bytes.starts(with: [9, 0, 0, 0]) ? 8 : 4))
    }
    return type(self) == type(other)
  }
}
