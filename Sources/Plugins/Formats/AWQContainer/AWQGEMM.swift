import FolderKit
public import QuantCore

/// The packing of AutoAWQ's GEMM kernels, which GPTQModel, transformers and vLLM read (`quant_method: awq`, `version: gemm`).
///
/// For a matrix `X.weight [out, in]` of 4-bit codes: `X.qweight` I32 `[in, out / 8]`, `X.qzeros` I32 `[groups, out / 8]`,
/// `X.scales` F16 `[groups, out]` (bfloat16 is read too). Groups are asymmetric. The trap: the eight codes of a word are
/// interleaved; from the lowest bits up it holds outputs 0, 2, 4, 6, 1, 3, 5, 7.
public struct AWQGEMM: FolderPacking, Unpacker {
  public static let id = "awq"
  public static let summary = "AWQ's GEMM packing, 4 bits with zero points, for AutoAWQ, GPTQModel, transformers and vLLM."
  public static let reference = "https://github.com/casper-hansen/AutoAWQ"
  /// The slot in its word of each of eight neighbouring outputs.
  static let layout = WordLayout(bits: 4, slots: [0, 4, 1, 5, 2, 6, 3, 7])

  public init() {}

  public func holds(_ grid: Grid) -> Bool { grid.kind == .asymmetricInteger && grid.codeBits == 4 && grid.scaleType == .f16 }

  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? IntegerScheme)?.storing(scales: .f16) ?? scheme }

  public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
    TransposedIntegers.obstacle([("rows", shape.first ?? 0)], layout: AWQGEMM.layout)
  }

  /// Whole words of outputs.
  public var rowMultiple: Int { 8 }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let matrix = TransposedIntegers(shape: shape, scheme: scheme, layout: AWQGEMM.layout)
    let module = QuantizedModule.name(ofWeight: name) + "."
    let width = matrix.layout.words(for: matrix.rows)
    return [
      matrix.part(module + "qweight", lines: matrix.columns, width: width, type: .i32),
      matrix.part(module + "qzeros", lines: matrix.groups, width: width, type: .i32),
      matrix.part(module + "scales", lines: matrix.groups, width: matrix.rows, type: .f16),
    ]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let matrix = TransposedIntegers(shape: shape, scheme: scheme, layout: AWQGEMM.layout)
    return [
      matrix.wordsOfOutputs(panel).littleEndianBytes, matrix.wordsOfZeros(panel).littleEndianBytes, matrix.scales(panel, as: .f16),
    ]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    try AWQConfiguration.json(modules: modules, unquantized: unquantized)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard let configuration = try AWQConfiguration(configuration) else { return nil }
    return try PackedModules.unpack(stored, method: "AWQ") { module, parts in
      try configuration.checkPacked(module)
      return try AWQWeight.tensor(module, groupLength: configuration.groupLength, parts: parts)
    }
  }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    (try? AWQConfiguration(configuration))?.expectsQuantized(module)
  }

  /// If all zero points are 7, they are those of symmetric groups minus one, as GPTQ's first version stores them.
  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    let shifted = stored.filter { tensor in
      guard tensor.name.hasSuffix(".qzeros"), let bytes = tensor.storage.verbatim, bytes.count > 0 else { return false }
      return bytes.withUnsafeBytes { $0.allSatisfy { $0 == 0x77 } }
    }
    return Finding.grouped(
      .error, "awq.zeros-label", "holds 7 for every zero point, which is how 'gptq' stores 8; this packing stores zero points unchanged",
      in: shifted.map(\.name))
  }
}
