extension Registry {
  /// Reads a file of importance in whatever format it has.
  /// - Throws: `Failure` where it is missing, nobody's, malformed, or holds values that cannot weigh anything.
  public func readImportance(_ path: String) throws -> Importance {
    guard let format = importanceFormats.first(where: { $0.recognises(path) }) else {
      _ = try MappedFile(path)
      throw Failure(
        .data, "importance.kind", "is no file of importance", file: path,
        remedy: "Give what llama-imatrix or 'qconvert calibrate' wrote: \(importanceFormats.map { $0.id }.joined(separator: ", ")).")
    }
    var importance = try format.read(path)
    importance.naming = format.naming
    do { try importance.check() } catch { throw error.inFile(path) }
    return importance
  }
}
