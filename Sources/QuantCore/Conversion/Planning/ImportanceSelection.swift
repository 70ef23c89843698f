/// Which entries of a file of importance count, by parts of their names, as llama-quantize has it: all, only those with one of
/// some parts, or all but those.
struct ImportanceSelection {
  private let included: [String]
  private let excluded: [String]

  /// - Throws: `Failure` of kind usage where both are given, nothing is there to choose from, or a part is in no name: it is most
  ///   likely a typing error.
  init(_ request: ConversionRequest, among importance: Importance?) throws(Failure) {
    included = request.includedImportance
    excluded = request.excludedImportance
    guard let option = !included.isEmpty ? "--include-weights" : excluded.isEmpty ? nil : "--exclude-weights" else { return }
    guard included.isEmpty || excluded.isEmpty else {
      throw Failure(
        .usage, "importance.selection", "--include-weights and --exclude-weights exclude each other", remedy: "Give one of them.")
    }
    guard let importance else {
      throw Failure(
        .usage, "importance.selection", "\(option) chooses from a file of importance, and none is given",
        remedy: "Give --importance FILE, or leave it out.")
    }
    for part in included + excluded where !importance.entries.keys.contains(where: { $0.contains(part) }) {
      throw Failure(
        .usage, "importance.selection", "\(option) '\(part)' is in no name of the file of importance", file: request.importancePath,
        remedy: "Names look like '\(importance.entries.keys.min() ?? "")'.")
    }
  }

  /// Whether an entry counts.
  func contains(_ name: String) -> Bool {
    if !included.isEmpty { return included.contains { name.contains($0) } }
    return !excluded.contains { name.contains($0) }
  }
}
