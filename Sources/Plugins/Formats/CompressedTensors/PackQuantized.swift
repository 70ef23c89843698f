public import QuantCore

/// The `pack-quantized` packing of compressed-tensors: integers of 2 to 8 bits, packed along the input dimension.
///
/// For a matrix `X.weight [out, in]`: `X.weight_packed` I32 `[out, ceil(in * b / 32)]`, `X.weight_scale` `[out, groups]` in
/// the model's type, `X.weight_zero_point` I32 `[ceil(out * b / 32), groups]` if groups are asymmetric, and
/// `X.weight_shape` I64 `[2]`. Codes are stored unsigned (a signed code + 2^(b-1)), without gaps: those of 3, 5, 6 and 7 bits
/// cross word boundaries. Versions before 0.18 left gaps instead, and misread what is written here. The trap: zero points are
/// packed along *rows*, not along groups, so rows must be packed in multiples of 32.
public struct PackQuantized: CompressedTensorsPacking {
  public static let id = "pack-quantized"
  public static let summary = "Integers of 2 to 8 bits packed into 32-bit words, as vLLM and transformers read them."

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    let isInteger = grid.kind == .symmetricInteger || grid.kind == .asymmetricInteger
    return isInteger && (2...8).contains(grid.codeBits) && [.f16, .bf16, .f32].contains(grid.scaleType)
  }

  public func caution(_ scheme: any Scheme) -> String? {
    let bits = Int(scheme.grid.codeBits)
    guard bits > 0, !32.isMultiple(of: bits) else { return nil }
    return "compressed-tensors reads these \(bits)-bit codes from version 0.18 on; vLLM up to 0.32 does not read them at all"
  }

  public var rowMultiple: Int { 32 }

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
      let words = geometry.layout.words(for: geometry.rows)
      parts.append(
        StoredPart(
          name: name + "_zero_point", shape: [words, geometry.groups], type: .element(.i32), byteCount: words * geometry.groups * 4))
    }
    parts.append(StoredPart(name: name + "_shape", shape: [2], type: .element(.i64), byteCount: 16))
    return parts
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let geometry = Geometry(shape: shape, scheme: scheme)
    let offset: Int32 = geometry.isAsymmetric ? 0 : 1 << Int32(geometry.layout.bits - 1)
    var parts = [geometry.layout.words(of: panel.codes, lines: panel.rows, adding: offset).littleEndianBytes, panel.scaleBytes(scheme)]
    if geometry.isAsymmetric { parts.append(zeroPoints(panel, geometry)) }
    parts.append(rows.lowerBound == 0 ? PackQuantized.shapeBytes(shape) : [])
    return parts
  }

  /// Packed into words down the rows of each group.
  private func zeroPoints(_ panel: QuantizedPanel, _ geometry: Geometry) -> [UInt8] {
    var words = [UInt32](repeating: 0, count: geometry.layout.words(for: panel.rows) * geometry.groups)
    for row in 0..<panel.rows {
      for group in 0..<geometry.groups {
        geometry.layout.set(panel.zeroPoint(row: row, group: group), at: row, in: &words, first: group, stride: geometry.groups)
      }
    }
    return words.littleEndianBytes
  }

  private static func shapeBytes(_ shape: [Int]) -> [UInt8] {
    shape.prefix(2).flatMap { length in (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } }
  }
}

/// Sizes of a packed matrix.
private struct Geometry {
  let rows: Int
  let layout: WordLayout
  let groups: Int
  let wordsPerRow: Int
  let isAsymmetric: Bool

  init(shape: [Int], scheme: any Scheme) {
    rows = shape.first ?? 0
    let columns = shape.last ?? 0
    layout = WordLayout(bits: Int(scheme.grid.codeBits))
    groups = columns / max(1, scheme.groupLength(columns: columns))
    wordsPerRow = layout.words(for: columns)
    isAsymmetric = scheme.grid.kind == .asymmetricInteger
  }
}
