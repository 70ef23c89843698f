extension Registry {
  /// Reads an importance file in any known format.
  /// - Throws: `Failure` if it does not exist, has no known format, is malformed, or holds values that cannot be importance.
  public func readImportance(_ path: String) throws -> Importance {
    guard let format = importanceFormats.first(where: { $0.recognises(path) }) else {
      _ = try MappedFile(path)
      throw Failure(
        .data, "importance.kind", "is not an importance file", file: path,
        remedy: "Give a file from llama-imatrix or \(command: "calibrate"): \(importanceFormats.map { $0.id }.joined(separator: ", ")).")
    }
    var importance = try format.read(path)
    importance.naming = format.naming
    do { try importance.check() } catch { throw error.inFile(path) }
    return importance
  }
}
