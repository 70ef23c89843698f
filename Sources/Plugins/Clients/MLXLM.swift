public import QuantCore

/// mlx-lm, on Apple's processors and others.
public enum MLXLM: ClientProfile {
  public static let id = "mlx-lm"
  public static let summary = "mlx-lm: folders in MLX's own packing."
  public static let reference = "https://github.com/ml-explore/mlx-lm"
  public static let version: ClientVersion = "0.32.2"
  public static let formats = ["huggingface"]
  public static let packings = ["mlx"]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }
}
