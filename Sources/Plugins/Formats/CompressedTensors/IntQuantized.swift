public import QuantCore

/// The `int-quantized` layout of compressed-tensors: one signed byte per weight, and a scale per output channel.
///
/// For a matrix `X.weight [out, in]`: `X.weight` I8 `[out, in]` and `X.weight_scale` `[out, 1]` in the model's type.
public struct IntQuantized: Packing {
  public static let id = "int-quantized"
  public static let summary = "8-bit integers with one scale per channel, one byte per weight."
  public static let reference = "https://github.com/vllm-project/compressed-tensors"

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .symmetricInteger && grid.codeBits == 8 && grid.groupLength == nil && [.f16, .bf16, .f32].contains(grid.scaleType)
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let rows = shape.first ?? 0
    let scaleType = scheme.grid.scaleType
    return [
      StoredPart(name: name, shape: shape, type: .element(.i8), byteCount: shape.reduce(1, *)),
      StoredPart(name: name + "_scale", shape: [rows, 1], type: .element(scaleType), byteCount: rows * scaleType.bitCount / 8),
    ]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    var scales: [UInt8] = []
    for row in 0..<panel.rows {
      StoredScales.append(panel.parameters[panel.parameterIndex(row: row, group: 0)], as: scheme.grid.scaleType, to: &scales)
    }
    return [panel.codes.map { UInt8(truncatingIfNeeded: $0) }, scales]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    QuantizationConfiguration.json(format: IntQuantized.id, modules: modules, unquantized: unquantized)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    try QuantizationConfiguration.unpack(configuration, format: IntQuantized.id, stored: stored) { name, arguments, parts in
      guard let weight = parts[""], let scale = parts["_scale"] else { return nil }
      return try IntegerStorage.bytes(name: name, arguments: arguments, weight: weight, scale: scale)
    }
  }
}
