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
    if let obstacle = classObstacle(folder) ?? expertObstacle(folder, version) { return obstacle }
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
    "blt", "falcon", "falcon_mamba", "gpt_bigcode", "ibert", "longt5", "mamba", "mamba2", "modernbert",
    "modernbert-decoder", "mt5", "nanochat", "recurrent_gemma", "rwkv", "switch_transformers", "t5", "udop", "umt5",
  ]
  /// Classes with a layer for each part of an expert in any quantized folder.
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

  // MARK: Experts

  /// Since its fifth version, the experts of a layer are one parameter, for which codes are decoded while a folder is loaded.
  private static let firstWithJoinedExperts: ClientVersion = "5"

  private static func expertObstacle(_ folder: ClientFolder, _ version: ClientVersion) -> ClientObstacle? {
    if let type = folder.modelType, separatesExperts.contains(type) { return nil }
    let experts = folder.quantized.filter(\.isExpert)
    guard version >= firstWithJoinedExperts, let first = experts.first else { return nil }
    let remedy: Remedy = "Choose w4a16, w8a16, mxfp4a16, fp8 or fp8-block with \(setting: "packing") fp8-block, or another client."
    if let problem = experts.lazy.compactMap(problem).first { return ClientObstacle(problem, remedy: remedy) }
    if experts.contains(where: { $0.grid != first.grid }) {
      return ClientObstacle("decodes all experts by one scheme, but these have several", remedy: "Choose one scheme for all experts.")
    }
    return nil
  }

  /// What becomes of an expert's codes, if not its weights.
  private static func problem(_ expert: ClientLayer) -> String? {
    let (packing, grid) = (expert.packing, expert.grid)
    switch packing {
    case "gptq", "gptq_v2", "awq": return "leaves experts random whose codes are packed as '\(packing)'"
    case "nvfp4-pack-quantized": return "decodes experts without their scale per tensor: its results mean nothing"
    case "int-quantized", "mxfp8-quantized": return "fails to decode experts that are packed as '\(packing)'"
    case "float-quantized" where grid.groupLength != nil: return "fails to decode experts of float-quantized with a scale per block"
    case "pack-quantized" where grid.kind == .asymmetricInteger: return "fails to decode experts of pack-quantized with zero points"
    default: return nil
    }
  }

  // MARK: Cautions

  public static func caution(_ folder: ClientFolder, version: ClientVersion) -> String? {
    if let obstacle = classObstacle(folder) ?? expertObstacle(folder, version) { return obstacle.reason }
    let packed = folder.quantized.filter { $0.packing == "pack-quantized" }
    let dequantized = "only with quantization_config=CompressedTensorsConfig(dequantize=True): "
    if let type = folder.modelType, initialisesWeights.contains(type), !packed.isEmpty {
      return "loads a packed '\(type)' \(dequantized)its class sets the weights of layers that have codes instead"
    }
    if version >= firstWithJoinedExperts, packed.contains(where: { $0.grid.kind == .asymmetricInteger }) {
      return "loads packed codes with zero points \(dequantized)it expects zero points that are not packed"
    }
    return nil
  }
}
