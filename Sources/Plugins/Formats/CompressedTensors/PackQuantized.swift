public import QuantCore

/// The `pack-quantized` layout of compressed-tensors: 4- and 8-bit integers, packed along the input dimension.
///
/// For a matrix `X.weight [out, in]`: `X.weight_packed` I32 `[out, ceil(in / perWord)]`, `X.weight_scale` `[out, groups]` in
/// the model's type, `X.weight_zero_point` I32 `[ceil(out / perWord), groups]` where the groups are asymmetric, and
/// `X.weight_shape` I64 `[2]`. Codes are stored unsigned (a signed code + 2^(b-1)). The trap: zero points are packed along
/// *rows*, not along groups, so rows must be packed in multiples of 8.
public struct PackQuantized: Packing {
  public static let id = "pack-quantized"
  public static let summary = "4- and 8-bit integers packed into 32-bit words, as vLLM and transformers read them."
  public static let reference = "https://github.com/vllm-project/compressed-tensors"

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    let isInteger = grid.kind == .symmetricInteger || grid.kind == .asymmetricInteger
    return isInteger && (grid.codeBits == 4 || grid.codeBits == 8) && [.f16, .bf16, .f32].contains(grid.scaleType)
  }

  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? {
    StoredInput.cacheParts(attention: attention, modelType: modelType)
  }

  public var rowMultiple: Int { 8 }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let geometry = Geometry(shape: shape, scheme: scheme)
    let scaleSize = scheme.grid.scaleType.bitCount / 8
    var parts = [
      StoredPart(
        name: name + "_packed", shape: [geometry.rows, geometry.wordsPerRow], type: .element(.i32),
        byteCount: geometry.rows * geometry.wordsPerRow * 4),
      StoredPart(
        name: name + "_scale", shape: [geometry.rows, geometry.groups], type: .element(scheme.grid.scaleType),
        byteCount: geometry.rows * geometry.groups * scaleSize),
    ]
    if geometry.isAsymmetric {
      let words = PackedIntegers.words(count: geometry.rows, bits: geometry.bits)
      parts.append(
        StoredPart(
          name: name + "_zero_point", shape: [words, geometry.groups], type: .element(.i32), byteCount: words * geometry.groups * 4))
    }
    parts.append(StoredPart(name: name + "_shape", shape: [2], type: .element(.i64), byteCount: 16))
    return parts
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let geometry = Geometry(shape: shape, scheme: scheme)
    let offset: Int32 = geometry.isAsymmetric ? 0 : 1 << Int32(geometry.bits - 1)
    var packed = [UInt8](repeating: 0, count: panel.rows * geometry.wordsPerRow * 4)
    var scales: [UInt8] = []
    scales.reserveCapacity(panel.rows * geometry.groups * 4)
    for row in 0..<panel.rows {
      for column in 0..<panel.columns {
        let code = UInt8(truncatingIfNeeded: panel.codes[row * panel.columns + column] &+ offset)
        PackedIntegers.set(code, at: column, bits: geometry.bits, in: &packed, from: row * geometry.wordsPerRow * 4)
      }
      for group in 0..<geometry.groups {
        StoredScales.append(panel.parameters[panel.parameterIndex(row: row, group: group)], as: scheme.grid.scaleType, to: &scales)
      }
    }
    var parts = [packed, scales]
    if geometry.isAsymmetric { parts.append(zeroPoints(panel, geometry)) }
    parts.append(rows.lowerBound == 0 ? PackQuantized.shapeBytes(shape) : [])
    return parts
  }

  /// Word `[r, g]` holds the zero points of group `g` in rows `r * perWord ..< (r + 1) * perWord`.
  private func zeroPoints(_ panel: QuantizedPanel, _ geometry: Geometry) -> [UInt8] {
    let perWord = PackedIntegers.perWord(bits: geometry.bits)
    let words = PackedIntegers.words(count: panel.rows, bits: geometry.bits)
    var bytes = [UInt8](repeating: 0, count: words * geometry.groups * 4)
    for row in 0..<panel.rows {
      for group in 0..<geometry.groups {
        let zero = UInt8(panel.parameters[panel.parameterIndex(row: row, group: group) + 1])
        let word = row / perWord * geometry.groups + group
        PackedIntegers.set(zero, at: row % perWord, bits: geometry.bits, in: &bytes, from: word * 4)
      }
    }
    return bytes
  }

  private static func shapeBytes(_ shape: [Int]) -> [UInt8] {
    shape.prefix(2).flatMap { length in (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } }
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    QuantizationConfiguration.json(format: PackQuantized.id, modules: modules, unquantized: unquantized)
  }

  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON {
    QuantizationConfiguration.adding(cache: scheme, to: configuration)
  }

  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord {
    try QuantizationConfiguration.activations(configuration, format: PackQuantized.id, stored: stored)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    try QuantizationConfiguration.unpack(configuration, format: PackQuantized.id, stored: stored) { name, groups, parts in
      guard let packed = parts["_packed"], let scale = parts["_scale"] else { return nil }
      return try IntegerStorage.packed(
        name: name, arguments: groups, packed: packed, scale: scale, zero: parts["_zero_point"], shape: parts["_shape"])
    }
  }
}

/// Sizes of a packed matrix.
struct Geometry {
  let rows: Int
  let bits: Int
  let groups: Int
  let wordsPerRow: Int
  let isAsymmetric: Bool

  init(shape: [Int], scheme: any Scheme) {
    rows = shape.first ?? 0
    let columns = shape.last ?? 0
    bits = Int(scheme.grid.codeBits)
    groups = columns / max(1, scheme.groupLength(columns: columns))
    wordsPerRow = PackedIntegers.words(count: columns, bits: bits)
    isAsymmetric = scheme.grid.kind == .asymmetricInteger
  }
}
