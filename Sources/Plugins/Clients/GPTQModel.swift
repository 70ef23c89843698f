public import QuantCore

/// GPTQModel, by itself or through transformers.
public enum GPTQModel: ClientProfile {
  public static let id = "gptqmodel"
  public static let summary = "GPTQModel: folders as GPTQ (with and without zero points) or AWQ."
  public static let reference = "https://github.com/ModelCloud/GPTQModel"
  public static let version: ClientVersion = "7.7"
  public static let formats = ["huggingface"]
  public static let packings = ["gptq", "gptq_v2", "awq"]

  /// Zero points that the first version of the layout stores minus one wrap around at 0, and it takes that back.
  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }
}
