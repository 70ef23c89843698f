public import QuantCore

/// Hugging Face transformers, with the libraries that it asks for (compressed-tensors, gptqmodel, bitsandbytes).
public enum Transformers: ClientProfile {
  public static let id = "transformers"
  public static let summary = "transformers: folders, with compressed-tensors, gptqmodel or bitsandbytes beside it."
  public static let reference = "https://huggingface.co/docs/transformers/quantization/overview"
  public static let version: ClientVersion = "5.23"
  public static let formats = ["huggingface"]
  public static let packings = [
    "pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized", "gptq",
    "gptq_v2", "awq", "fp8-block", "bitsandbytes-nf4", "bitsandbytes-fp4", "bitsandbytes-int8", "gpt-oss",
  ]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }
}
