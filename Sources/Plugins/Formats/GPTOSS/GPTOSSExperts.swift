public import QuantCore

/// The experts of gpt-oss (`quant_method: mxfp4`), read only: E2M1 codes of all experts in one tensor, with powers of two beside it.
///
/// For the matrices `X [experts, out, in]`: `X_blocks` U8 `[experts, out, in / 32, 16]` with the even column in the low half, and
/// `X_scales` U8 `[experts, out, in / 32]`, biased exponents. The trap: transformers shows these matrices the other way round, as
/// `[experts, in, out]`; and the rows of `gate_up_proj` are gate and up by turns.
public struct GPTOSSExperts: Packing {
  public static let id = "gpt-oss"
  public static let summary = "The MXFP4 experts of gpt-oss, read only."
  public static let reference = "https://huggingface.co/openai/gpt-oss-20b"

  public init() {}

  public func holds(_ grid: Grid) -> Bool { false }
  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] { [] }
  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] { [] }

  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == "mxfp4", let scheme = MicroscalingScheme(.f4, modelType: .bf16) else { return nil }
    let byName = Dictionary(stored.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let names = stored.filter { $0.name.hasSuffix("_blocks") }.map { String($0.name.dropLast("_blocks".count)) }
    let scales = Set(names.map { $0 + "_scales" })
    return try stored.filter { !scales.contains($0.name) }.map { tensor in
      guard tensor.name.hasSuffix("_blocks") else { return tensor }
      let name = String(tensor.name.dropLast("_blocks".count))
      guard let own = byName[name + "_scales"] else {
        throw Failure(.data, "quantized.part-missing", "belongs to a quantized layer, and is not there", tensor: name + "_scales")
      }
      let shape = tensor.shape
      guard shape.count == 4, shape[3] == MicroscalingScheme.length / 2, let columns = Checked.product(shape[2], MicroscalingScheme.length),
        own.shape == Array(shape.dropLast())
      else {
        throw Failure(
          .data, "gpt-oss.shape",
          "blocks of shape \(shape) with scales of shape \(own.shape) are not [experts, out, groups, 16] with one for each",
          tensor: tensor.name)
      }
      return try ScaledFloatStorage.tensor(name: name, shape: [shape[0], shape[1], columns], scheme: scheme, codes: tensor, scales: own)
    }
  }
}
