public import QuantCore

/// vLLM. Checked by loading with its CPU build; kernels of GPUs only from its sources.
public enum VLLM: ClientProfile {
  public static let id = "vllm"
  public static let summary = "vLLM: folders as compressed-tensors, GPTQ, AWQ or FP8."
  public static let reference = "https://docs.vllm.ai/en/latest/features/quantization"
  public static let version: ClientVersion = "0.32"
  public static let formats = ["huggingface"]
  public static let packings = [
    "pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized", "gptq",
    "awq", "fp8", "fp8-block", "modelopt-fp8", "modelopt-nvfp4", "gpt-oss",
  ]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? {
    let bits = Int(layer.grid.codeBits)
    switch layer.packing {
    case "pack-quantized" where bits != 4 && bits != 8:
      return ClientObstacle("has no kernel for packed integers of \(bits) bits", remedy: "Choose 4 or 8 bits.")
    case "gptq" where version >= "0.32" && layer.grid.kind == .asymmetricInteger:
      return ClientObstacle(
        "reads GPTQ without zero points only", remedy: "Leave --packing out (compressed-tensors holds zero points), or give --packing awq.")
    case "gptq" where version >= "0.32" && bits != 4 && bits != 8:
      return ClientObstacle("reads GPTQ of 4 and 8 bits only", remedy: "Choose 4 or 8 bits.")
    default: return nil
    }
  }
}
