/// Which entries of an importance file count, by substrings of their names, as in llama-quantize: all, only those with one of
/// the substrings, or all but those.
struct ImportanceSelection {
  private let included: [String]
  private let excluded: [String]

  /// - Throws: `Failure` of kind usage if both options are given, there is no importance file, or a substring is in no name, which is
  ///   most likely a typing error.
  init(_ request: ConversionRequest, among importance: Importance?) throws(Failure) {
    included = request.includedImportance
    excluded = request.excludedImportance
    guard let setting = !included.isEmpty ? "include-weights" : excluded.isEmpty ? nil : "exclude-weights" else { return }
    guard included.isEmpty || excluded.isEmpty else {
      throw Failure(
        .usage, "importance.selection", "entries cannot be selected and excluded at the same time",
        remedy: "Give \(setting: "include-weights") or \(setting: "exclude-weights").")
    }
    guard let importance else {
      throw Failure(
        .usage, "importance.selection", "entries of an importance file are selected, but no file is given",
        remedy: "Give \(setting: "importance") FILE, or leave \(setting: setting) out.")
    }
    for part in included + excluded where !importance.entries.keys.contains(where: { $0.contains(part) }) {
      throw Failure(
        .usage, "importance.selection", "'\(part)' matches no name in the importance file", file: request.importancePath,
        remedy: "Give \(setting: setting) a part of a name such as '\(importance.entries.keys.min() ?? "")'.")
    }
  }

  /// Whether an entry counts.
  func contains(_ name: String) -> Bool {
    if !included.isEmpty { return included.contains { name.contains($0) } }
    return !excluded.contains { name.contains($0) }
  }
}
