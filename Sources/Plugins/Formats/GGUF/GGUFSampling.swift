import QuantCore

/// How a model is meant to be sampled: the keys below `general.sampling.`, and those of a `generation_config.json`.
enum GGUFSampling {
  private struct Key {
    /// After the prefix.
    var name: String
    /// Keys of a `generation_config.json`; the first that is present is used.
    var sources: [String]
    /// The one of them that transformers supports, or nil.
    var transformers: String?
    var isInteger: Bool

    init(_ name: String, from sources: [String]? = nil, transformers: String? = nil, isInteger: Bool = false) {
      self.name = name
      self.sources = sources ?? [name]
      self.transformers = transformers
      self.isInteger = isInteger
    }
  }

  private static let prefix = "general.sampling."

  /// In the order in which llama.cpp's converter writes them.
  private static let keys = [
    Key("top_k", transformers: "top_k", isInteger: true), Key("top_p", transformers: "top_p"), Key("min_p", transformers: "min_p"),
    Key("xtc_probability"), Key("xtc_threshold"), Key("temp", from: ["temperature"], transformers: "temperature"),
    Key("penalty_last_n", isInteger: true),
    Key("penalty_repeat", from: ["penalty_repeat", "repetition_penalty"], transformers: "repetition_penalty"),
    Key("mirostat", isInteger: true), Key("mirostat_tau"), Key("mirostat_eta"),
  ]

  /// Adds what the `generation_config.json` of a folder says. A file that cannot be read is skipped, because it says nothing about the
  /// weights; the converter skips it too.
  static func add(to values: inout KeyValues, folder: String?) {
    guard let folder, let json = try? JSON.load(Files.join(folder, "generation_config.json")) else { return }
    if let sequence = json["sequence"]?.stringValue { values[prefix + "sequence"] = .string(sequence) }
    for key in keys {
      guard let value = key.sources.lazy.compactMap({ json[$0] }).first, let number = value.doubleValue else { continue }
      values[prefix + key.name] = key.isInteger ? Int32(exactly: number).map { .i32($0) } : .f32(Float(number))
    }
  }

  /// The same for a `generation_config.json`, restricted to keys that transformers supports.
  static func settings(_ metadata: KeyValues) -> [JSON.Member] {
    keys.compactMap { key in
      guard let name = key.transformers, let value = metadata[prefix + key.name]?.doubleValue else { return nil }
      return JSON.Member(name, key.isInteger ? Int(exactly: value).map { .int($0) } ?? .null : .shortest(value))
    }
  }
}
