import QuantCore

/// Names what is wrong with a folder as a whole before its files are read one by one.
enum FolderCauses {
  /// Whether a folder is none of a model, but close enough to say what it is.
  static func isNearModel(_ names: [String]) -> Bool {
    isNative(names) || isCache(names) || holdsCaches(names) || whole(names) != nil
  }

  /// - Throws: `Failure` `hf.native`, `hf.cache`, `hf.foreign`, and as `Files.checkExists` for each entry.
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
    if let whole = whole(names) {
      throw Failure(.unsupported, "hf.foreign", "holds \(whole.what)", file: folder, remedy: whole.remedy)
    }
    for name in names where !name.hasPrefix(".") { try Files.checkExists(Files.join(folder, name)) }
  }

  /// What clients would do otherwise with this folder.
  static func warnings(_ names: [String]) -> [String] {
    guard names.contains(PEFTFormat.configurationName) else { return [] }
    return [
      "\(PEFTFormat.configurationName) is beside the model: it is left out, but transformers with PEFT loads that adapter and its base model instead."
    ]
  }

  // MARK: Weights of other programs

  /// What other programs, and those that were stopped, leave in a folder.
  private struct Foreign: Sendable {
    /// How one of its names begins and ends.
    var start = "", end = ""
    /// In messages, it follows `holds`.
    var what: String
    var remedy: Remedy
    /// Whether it is the whole folder rather than one of its files.
    var isWhole = false

    func holds(_ names: [String]) -> Bool {
      names.contains { $0.hasPrefix(start) && $0.hasSuffix(end) && $0.count > start.count + end.count - 1 }
    }
  }

  private static let foreign = [
    Foreign(
      start: "model_index.json", what: "a pipeline of diffusers", remedy: "Give the folder of one of its models, such as text_encoder.",
      isWhole: true),
    Foreign(
      start: "checkpoint-", what: "the checkpoints of a training, each in a folder of its own", remedy: "Give one of these folders.",
      isWhole: true),
    Foreign(
      end: ".distcp", what: "a distributed checkpoint of PyTorch (FSDP)",
      remedy: "Merge it (accelerate merge-weights), and give the result."),
    Foreign(
      start: "global_step", what: "a checkpoint of DeepSpeed",
      remedy: "Run its zero_to_fp32.py, and give the result."),
    Foreign(end: ".incomplete", what: "a download that is not complete", remedy: "Download the model again."),
    Foreign(end: ".part", what: "a download that is not complete", remedy: "Download the model again."),
    Foreign(end: ".crdownload", what: "a download that is not complete", remedy: "Download the model again."),
    Foreign(end: ".h5", what: "weights of TensorFlow", remedy: "Load them in transformers with from_tf=True, and save the model."),
    Foreign(end: ".msgpack", what: "weights of Flax", remedy: "Load them in transformers with from_flax=True, and save the model."),
    Foreign(end: ".onnx", what: "a graph for ONNX Runtime", remedy: "Give the model from which it was exported."),
    Foreign(end: ".gguf", what: "GGUF files", remedy: "Give the path of one of these files."),
  ]

  /// What a folder is, if it holds models rather than one.
  private static func whole(_ names: [String]) -> Foreign? {
    if names.contains(where: { $0 == "config.json" || SafetensorsFormat.holdsWeights($0) }) { return nil }
    return foreign.first { $0.isWhole && $0.holds(names) }
  }

  /// The failure for a folder without weights in a format that is read.
  /// - Parameter formats: endings of those.
  static func withoutWeights(_ folder: String, _ names: [String], formats: [String]) -> Failure {
    let other = foreign.first { $0.holds(names) }
    return Failure(
      .noInput, "hf.no-weights",
      "holds no weights in a supported format (\(formats.joined(separator: ", ")))" + (other.map { ", but \($0.what)" } ?? ""),
      file: folder,
      remedy: other?.remedy ?? "Give a folder with weights.")
  }

  // MARK: Models in another place

  private static func isNative(_ names: [String]) -> Bool {
    names.contains("params.json") && !names.contains("config.json") && names.contains { $0.hasPrefix("consolidated.") }
  }

  private static func isCache(_ names: [String]) -> Bool {
    names.contains("snapshots") && (names.contains("refs") || names.contains("blobs")) && !names.contains("config.json")
  }

  private static func holdsCaches(_ names: [String]) -> Bool { names.contains { $0.hasPrefix("models--") } }
}
