public import QuantCore

/// Signed 4-bit integers in groups, two to a byte.
///
/// For a matrix `X.weight [out, in]`: `X.weight_codes` U8 `[out, in / 2]`, each code plus 8, that of the even column in the low bits;
/// `X.weight_scales` F16 `[out, groups]`. A folder says `"quant_method": "nibbles"`.
public struct NibblesPacking: FolderPacking, Unpacker {
  public static let id = "nibbles"
  public static let summary = "4-bit integers, two to a byte."
  public static let reference = "the page that describes the layout"

  public init() {}

  // MARK: What it holds

  public func holds(_ grid: Grid) -> Bool { grid.kind == .symmetricInteger && grid.codeBits == 4 && grid.scaleType == .f16 }

  /// Scales are F16, whatever the type of the model.
  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? IntegerScheme)?.storing(scales: .f16) ?? scheme }

  public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
    (shape.last ?? 0).isMultiple(of: 8) ? nil : "rows are not a multiple of 8 long"
  }

  // MARK: Writing

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let (rows, columns) = (shape[0], shape[1])
    let groups = columns / scheme.groupLength(columns: columns)
    return [
      StoredPart(name: name + "_codes", shape: [rows, columns / 2], type: .element(.u8), byteCount: rows * columns / 2),
      StoredPart(name: name + "_scales", shape: [rows, groups], type: .element(.f16), byteCount: rows * groups * 2),
    ]
  }

  /// The bytes of some rows, in the order of `parts`.
  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let codes = stride(from: 0, to: panel.codes.count, by: 2).map { index in
      UInt8(truncatingIfNeeded: panel.codes[index] + 8 | (panel.codes[index + 1] + 8) << 4)
    }
    return [codes, NumberConversion.bytes(of: panel.parameters, as: .f16)]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    .object([
      .init("quant_method", .string(NibblesPacking.id)), .init("modules_to_not_convert", .array(unquantized.map { .string($0) })),
    ])
  }

  // MARK: Reading

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == NibblesPacking.id else { return nil }
    let scales = Dictionary(
      stored.filter { $0.name.hasSuffix("_scales") }.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return try stored.compactMap { tensor in
      if scales[tensor.name] != nil { return nil }
      guard tensor.name.hasSuffix(".weight_codes") else { return tensor }
      let name = String(tensor.name.dropLast("_codes".count))
      return try NibblesPacking.weight(name, codes: tensor, scales: scales[name + "_scales"])
    }
  }

  /// A matrix whose rows are decoded on demand. Its codes can be moved into other packings without another rounding.
  private static func weight(_ name: String, codes: CheckpointTensor, scales: CheckpointTensor?) throws(Failure) -> CheckpointTensor {
    guard let scales else { throw Failure(.data, "nibbles.scales", "has no scales", tensor: name) }
    // Nothing that comes from a file is computed with unchecked: a shape may be anything.
    guard codes.storage.elementType == .u8, let bytes = codes.storage.verbatim, codes.shape.count == 2, scales.shape.count == 2,
      let columns = Checked.product(codes.shape[1], 2), columns.isMultiple(of: 8), scales.shape[0] == codes.shape[0]
    else {
      throw Failure(.data, "nibbles.shape", "has codes of shape \(codes.shape) and scales of shape \(scales.shape)", tensor: name)
    }
    let (rows, groups) = (codes.shape[0], scales.shape[1])
    guard
      let numbers = StoredScales(scales, rows: rows, groups: groups, rowStride: groups, groupStride: 1),
      // In a little-endian word of 32 bits the codes follow one another from the lowest bits on.
      let words = PackedIntegers(
        bytes, layout: WordLayout(bits: 4), length: columns, lines: rows, wordStride: 1, lineStride: columns / 8),
      let parts = IntegerParts(
        rows: rows, columns: columns, bits: 4, groups: groups, codes: .alongRows(words), scales: numbers, zeros: .middle),
      let storage = IntegerStorage(
        parts, groupLength: groups == 1 ? nil : columns / groups, isSymmetric: true, byteCount: bytes.count + scales.storage.byteCount)
    else { throw Failure(.data, "nibbles.shape", "has \(groups) groups for \(columns) columns", tensor: name) }
    return CheckpointTensor(name: name, shape: [rows, columns], storage: storage)
  }
}
