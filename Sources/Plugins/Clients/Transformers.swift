public import QuantCore

/// Hugging Face transformers, with the libraries that it needs (compressed-tensors, gptqmodel, bitsandbytes).
public enum Transformers: ClientProfile {
  public static let id = "transformers"
  public static let summary = "transformers: folders, with compressed-tensors, gptqmodel or bitsandbytes installed."
  public static let reference = "https://huggingface.co/docs/transformers/quantization/overview"
  public static let version: ClientVersion = "5.24"
  public static let formats = ["huggingface"]
  public static let packings = [
    "pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized", "gptq",
    "gptq_v2", "awq", "fp8-block", "bitsandbytes", "gpt-oss",
  ]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }

  /// For GPTQ, transformers knows one scheme for all layers, and expects exactly the linear layers of the blocks to be packed.
  /// Tensors that it does not find get random values, which ends in an error except for an output matrix.
  public static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle? {
    if let obstacle = classObstacle(folder) { return obstacle }
    guard let first = folder.quantized.first, ["gptq", "gptq_v2"].contains(first.packing) else { return nil }
    func isInBlock(_ name: String) -> Bool { name.split(separator: ".").contains { Int($0) != nil } }
    let remedy: Remedy = "Leave out \(setting: "packing"): compressed-tensors can give each layer its own scheme."
    if let other = folder.quantized.first(where: { !isInBlock($0.name) }) {
      return ClientObstacle("reads GPTQ only in the layers of blocks, not in '\(other.name)'", remedy: remedy)
    }
    if let other = folder.quantized.first(where: { $0.grid != first.grid }) {
      return ClientObstacle("reads GPTQ with one scheme for all layers, but '\(other.name)' has another", remedy: remedy)
    }
    if let other = folder.unquantized.first(where: isInBlock) {
      return ClientObstacle("expects '\(other)' to be packed as GPTQ, but it is not quantized", remedy: remedy)
    }
    return nil
  }

  // MARK: Classes that do not expect codes

  /// Classes that set random weights before they look for stored ones, and fail where a layer has codes instead (`_init_weights` of each
  /// class); with weights in place of codes they load.
  private static let initialisesWeights: Set<String> = [
    "blt", "convbert", "falcon", "falcon_mamba", "gpt_bigcode", "ibert", "longt5", "mamba", "mamba2", "modernbert",
    "modernbert-decoder", "mt5", "nanochat", "recurrent_gemma", "rwkv", "switch_transformers", "t5", "udop", "umt5",
  ]
  /// Classes with a layer for each expert in any quantized folder.
  private static let separatesExperts: Set<String> = ["llama4", "llama4_text"]
  /// Classes whose fused layers are cut apart while a folder is loaded (`conversion_mapping.py`).
  private static let cutsLayers: Set<String> = ["gte", "hrm_text", "jina_embeddings_v3", "nomic_bert"]

  /// Classes whose convolutions are joined while a folder is loaded, which fails in a quantized one.
  private static let joinsConvolutions: Set<String> = ["kimi_linear"]

  /// What the class of a model does with a folder that it cannot load.
  private static func classObstacle(_ folder: ClientFolder) -> ClientObstacle? {
    guard let type = folder.modelType, let first = folder.quantized.first else { return nil }
    if separatesExperts.contains(type), folder.hasPlainStacks {
      return ClientObstacle(
        "looks for each expert of a quantized '\(type)' alone, finds stacks, and leaves the experts random",
        remedy: "Choose bf16, or another client.")
    }
    if cutsLayers.contains(type), first.packing == "pack-quantized" {
      return ClientObstacle(
        "cuts the fused layers of a '\(type)' apart while it loads, and cannot cut their codes", remedy: "Choose bf16, or another client.")
    }
    if joinsConvolutions.contains(type) {
      return ClientObstacle(
        "fails to join the convolutions of a quantized '\(type)' while it loads", remedy: "Choose bf16, or another client.")
    }
    return nil
  }

  public static func caution(_ folder: ClientFolder, version: ClientVersion) -> String? {
    if let obstacle = classObstacle(folder) { return obstacle.reason }
    guard let type = folder.modelType, initialisesWeights.contains(type), folder.quantized.first?.packing == "pack-quantized" else {
      return nil
    }
    return "loads a packed '\(type)' only with quantization_config=CompressedTensorsConfig(dequantize=True): its class sets the weights of"
      + " layers that have codes instead"
  }
}
