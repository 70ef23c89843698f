public import QuantCore

/// Hugging Face transformers, with the libraries that it needs (compressed-tensors, gptqmodel, bitsandbytes).
public enum Transformers: ClientProfile {
  public static let id = "transformers"
  public static let summary = "transformers: folders, with compressed-tensors, gptqmodel or bitsandbytes installed."
  public static let reference = "https://huggingface.co/docs/transformers/quantization/overview"
  public static let version: ClientVersion = "5.23"
  public static let formats = ["huggingface"]
  public static let packings = [
    "pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized", "gptq",
    "gptq_v2", "awq", "fp8-block", "bitsandbytes", "gpt-oss",
  ]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }

  /// For GPTQ, transformers knows one scheme for all layers, and expects exactly the linear layers of the blocks to be packed.
  /// Tensors that it does not find get random values, which ends in an error except for an output matrix.
  public static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle? {
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
}
