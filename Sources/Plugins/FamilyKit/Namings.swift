public import QuantCore

// The formats whose names the families here know.

extension Naming {
  /// The model's own names: those of transformers, and of folders on the hub.
  public static let huggingFace = Naming(rawValue: "huggingFace")
  /// Those of llama.cpp.
  public static let gguf = Naming(rawValue: "gguf")
}

extension Configuration {
  /// A `config.json`.
  public static func huggingFace(_ json: JSON) -> Configuration {
    Configuration(json, architecture: json["architectures"]?.arrayValue?.first?.stringValue)
  }
}
