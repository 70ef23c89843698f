public import QuantCore

/// The tensors of HQQ (half-quadratic quantization), as its own library and transformers save them.
///
/// For a layer `X`: `X.W_q` U8 holds the codes of a matrix whose groups are its rows (`axis` 1) or its columns (`axis` 0).
/// That matrix is cut into 8 / bits slabs of rows, and a byte holds one code of each slab, the first slab in the highest bits.
/// `X.scale` and `X.zero` hold one value per group; a weight is `(code - zero) * scale`, and the zero point need not be a whole
/// number. Groups along `axis` 1 are stored; both can be read. `X.shape`, `X.nbits`, `X.axis` and others are settings, each stored as a tensor. The configuration of a folder need
/// not say that it is quantized; the names of its tensors do.
public struct HQQ: Unpacker {
  public static let id = "hqq"
  public static let summary = "8-, 4-, 2- and 1-bit groups with fractional zero points, as HQQ's library reads them."
  public static let reference = "https://github.com/mobiusml/hqq"

  static let codesName = "W_q"
  /// Everything that the library stores for a layer besides its codes.
  private static let settings: Set<String> = [
    "scale", "zero", "shape", "nbits", "group_size", "axis", "packing", "channel_wise", "compute_dtype", "encoded_state_dict",
    "offload_meta",
    "optimize", "quant_scale", "quant_zero", "round_zero", "stores_quant_config", "unpack_view_dtype", "view_as_float",
  ]

  public init() {}

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    let method = configuration["quant_method"]?.stringValue
    let layers = Set(stored.compactMap { HQQ.split($0.name, at: [HQQ.codesName])?.layer })
    guard method == HQQ.id || configuration.isNull && !layers.isEmpty else { return nil }
    var parts: [String: [String: CheckpointTensor]] = [:]
    for tensor in stored {
      guard let (layer, part) = HQQ.split(tensor.name, at: HQQ.settings), layers.contains(layer) else { continue }
      parts[layer, default: [:]][part] = tensor
    }
    return try stored.compactMap { tensor in
      if let (layer, _) = HQQ.split(tensor.name, at: [HQQ.codesName]) {
        return try HQQStorage.tensor(tensor, name: layer + ".weight", parts: parts[layer] ?? [:])
      }
      let isPart = HQQ.split(tensor.name, at: HQQ.settings).map { layers.contains($0.layer) } ?? false
      return isPart ? nil : tensor
    }
  }

  private static func split(_ name: String, at parts: Set<String>) -> (layer: String, part: String)? {
    guard let dot = name.lastIndex(of: "."), parts.contains(String(name[name.index(after: dot)...])) else { return nil }
    return (String(name[..<dot]), String(name[name.index(after: dot)...]))
  }
}
