import QuantCore

/// Names what is wrong with a folder as a whole before its files are read one by one.
enum FolderCauses {
  /// Whether a folder is none of a model, but close enough to say what it is.
  static func isNearModel(_ names: [String]) -> Bool { isNative(names) || isCache(names) || holdsCaches(names) }

  /// - Throws: `Failure` `hf.native`, `hf.cache`, `input.dangling-link`.
  static func check(_ folder: String, _ names: [String]) throws(Failure) {
    if isNative(names) {
      throw Failure(
        .unsupported, "hf.native", "holds a model in the format of its publisher's own programs (params.json, consolidated.*)",
        file: folder,
        remedy: "Give the model's release for transformers (config.json with model*.safetensors), or convert it with transformers first.")
    }
    if isCache(names) {
      let snapshots = Files.join(folder, "snapshots")
      let found = ((try? Files.list(snapshots)) ?? []).map { Files.join(snapshots, $0) }
      throw Failure(
        .data, "hf.cache", "is a folder of the Hub's cache that holds versions of a model", file: folder,
        remedy: found.isEmpty ? "Download the model again: no version is complete." : "Give one of: \(found.joined(separator: ", ")).")
    }
    if holdsCaches(names), !names.contains("config.json") {
      throw Failure(
        .data, "hf.cache", "is the Hub's cache of several models", file: folder,
        remedy: "Give the folder of one version: models--ORGANIZATION--NAME/snapshots/VERSION.")
    }
    for name in names where !name.hasPrefix(".") && !Files.exists(Files.join(folder, name)) {
      throw Failure(
        .noInput, "input.dangling-link", "is a link to a file that does not exist", file: Files.join(folder, name),
        remedy: "Restore the file (download the model again if this is the Hub's cache), or remove the link.")
    }
  }

  /// What clients would do otherwise with this folder.
  static func warnings(_ names: [String]) -> [String] {
    guard names.contains(PEFTFormat.configurationName) else { return [] }
    return [
      "\(PEFTFormat.configurationName) is beside the model: it is left out, but transformers with PEFT loads that adapter and its base model instead."
    ]
  }

  private static func isNative(_ names: [String]) -> Bool {
    names.contains("params.json") && !names.contains("config.json") && names.contains { $0.hasPrefix("consolidated.") }
  }

  private static func isCache(_ names: [String]) -> Bool {
    names.contains("snapshots") && (names.contains("refs") || names.contains("blobs")) && !names.contains("config.json")
  }

  private static func holdsCaches(_ names: [String]) -> Bool { names.contains { $0.hasPrefix("models--") } }
}
