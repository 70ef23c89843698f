public import QuantCore

/// vLLM. Checked by loading folders in its CPU build; what its GPU kernels do is known from its sources only.
public enum VLLM: ClientProfile {
  public static let id = "vllm"
  public static let summary = "vLLM: folders packed as compressed-tensors, GPTQ, AWQ or FP8."
  public static let reference = "https://docs.vllm.ai/en/latest/features/quantization"
  public static let version: ClientVersion = "0.32"
  public static let formats = ["huggingface"]
  public static let packings = [
    "pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized", "gptq",
    "gptq_v2", "awq", "fp8", "fp8-block", "modelopt-fp8", "modelopt-nvfp4", "gpt-oss",
  ]

  /// `qkv_proj` and `gate_up_proj`; it refuses a folder that gives their parts different schemes.
  public static let jointLayers: [[TensorRole]] = [[.query, .key, .value], [.gate, .up], [.sharedGate, .sharedUp], [.down]]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? {
    let bits = Int(layer.grid.codeBits)
    switch layer.packing {
    case "pack-quantized" where bits != 4 && bits != 8:
      return ClientObstacle("has no kernel for packed \(bits)-bit integers", remedy: "Choose 4 or 8 bits.")
    case "float-quantized" where layer.grid.groupLength != nil && layer.grid.tileRows == 1:
      return ClientObstacle("has no kernel for FP8 weights in groups of columns", remedy: "Choose fp8, or fp8-block.")
    case "mxfp4-pack-quantized" where layer.activations != nil && version < "0.32":
      return ClientObstacle("is not known to round the inputs of MXFP4 to \(layer.activations?.name ?? "")", remedy: "Choose mxfp4a16.")
    case "gptq_v2" where version < "0.32":
      return ClientObstacle("is not known to read GPTQ's second version (gptq_v2)", remedy: "Give \(setting: "packing") gptq.")
    case "gptq", "gptq_v2":
      return gptqObstacle(layer, version: version)
    default: return nil
    }
  }

  public static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle? {
    guard let cache = folder.cache, cache != .fp8Static else { return nil }
    return ClientObstacle(
      "loads stored scales of keys and values only for an FP8 cache, not for \(cache.name)",
      remedy: "Give \(setting: "kv-cache") fp8, or leave it out.")
  }

  /// vLLM does not look at zero points, so both versions, which differ only in them, mean the same to it.
  private static func gptqObstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? {
    guard version >= "0.32" else { return nil }
    if layer.grid.kind == .asymmetricInteger {
      return ClientObstacle(
        "reads GPTQ only without zero points",
        remedy: "Leave \(setting: "packing") out (compressed-tensors holds zero points), or give \(setting: "packing") awq.")
    }
    let isRead = layer.grid.codeBits == 4 || layer.grid.codeBits == 8
    return isRead ? nil : ClientObstacle("reads GPTQ only with 4 or 8 bits", remedy: "Choose 4 or 8 bits.")
  }
}
