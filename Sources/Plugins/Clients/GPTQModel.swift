public import QuantCore

/// GPTQModel, by itself or through transformers.
public enum GPTQModel: ClientProfile {
  public static let id = "gptqmodel"
  public static let summary = "GPTQModel: folders as GPTQ (with and without zero points) or AWQ."
  public static let reference = "https://github.com/ModelCloud/GPTQModel"
  public static let version: ClientVersion = "7.7"
  public static let formats = ["huggingface"]
  public static let packings = ["gptq", "gptq_v2", "awq"]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? {
    // Version 1 stores a zero point less one: 0 wraps, and readers of some versions do not wrap it back.
    guard layer.packing == "gptq", layer.grid.kind == .asymmetricInteger else { return nil }
    return ClientObstacle("misreads zero points of 0 in the first version of the layout", remedy: "Give --packing gptq_v2.")
  }
}
