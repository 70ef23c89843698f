public import QuantCore

/// GPTQModel, by itself or through transformers.
public enum GPTQModel: ClientProfile {
  public static let id = "gptqmodel"
  public static let summary = "GPTQModel: folders packed as GPTQ (with or without zero points) or AWQ."
  public static let reference = "https://github.com/ModelCloud/GPTQModel"
  public static let version: ClientVersion = "7.7"
  public static let formats = ["huggingface"]
  public static let packings = ["gptq", "gptq_v2", "awq"]

  /// `gptq` stores zero points minus one, so that a zero point of 0 wraps around; GPTQModel undoes that.
  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }
}
