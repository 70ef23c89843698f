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
    "gptq_v2", "awq", "fp8-block", "bitsandbytes", "gpt-oss",
  ]

  public static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? { nil }

  /// Of GPTQ's configuration it knows one scheme, and takes each linear layer of the blocks, and no other, for packed. What it
  /// does not find in the file has random values, which end in an error or, in an output matrix, do not.
  public static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle? {
    guard let first = folder.quantized.first, ["gptq", "gptq_v2"].contains(first.packing) else { return nil }
    func isInBlock(_ name: String) -> Bool { name.split(separator: ".").contains { Int($0) != nil } }
    let remedy = "Leave --packing out: compressed-tensors has a scheme for each layer."
    if let other = folder.quantized.first(where: { !isInBlock($0.name) }) {
      return ClientObstacle("does not read '\(other.name)' in GPTQ's layout, only the layers of blocks", remedy: remedy)
    }
    if let other = folder.quantized.first(where: { $0.grid != first.grid }) {
      return ClientObstacle("reads GPTQ with one scheme for all layers, and '\(other.name)' has another", remedy: remedy)
    }
    if let other = folder.unquantized.first(where: isInBlock) {
      return ClientObstacle("takes '\(other)', which is not quantized, for packed in GPTQ's layout", remedy: remedy)
    }
    return nil
  }
}
