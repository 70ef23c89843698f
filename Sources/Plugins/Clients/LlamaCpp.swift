public import QuantCore

/// llama.cpp and the programs built on it.
public enum LlamaCpp: ClientProfile {
  public static let id = "llama.cpp"
  public static let summary = "llama.cpp and the programs built on it: GGUF files."
  public static let reference = "https://github.com/ggml-org/llama.cpp"
  public static let version: ClientVersion = "1"
  public static let formats = ["gguf"]
  public static let packings = ["gguf", "gguf-float"]
  /// On CPUs.
  public static let roundsInputsByType = true

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }
}
