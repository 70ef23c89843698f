/// Where a format stores a matrix of short floats: codes in rows, scales in rows of tiles, and perhaps a scale for the whole.
public struct ScaledFloatLayout: Sendable {
  /// Suffix of the weight's name for the codes.
  public var codes: String
  /// Suffix for the scales.
  public var scales: String
  /// Suffix for the scale of the whole tensor.
  public var globalScale: String
  /// Type in which scales are stored; nil: that of the grid, with U8 for E8M0.
  public var scaleType: ElementType?
  /// Shape of a tensor with a single value: `[1]` or `[]`.
  public var numberShape: [Int]

  public init(
    codes: String = "", scales: String = "_scale", globalScale: String = "_global_scale", scaleType: ElementType? = nil,
    numberShape: [Int] = [1]
  ) {
    self.codes = codes
    self.scales = scales
    self.globalScale = globalScale
    self.scaleType = scaleType
    self.numberShape = numberShape
  }

  /// The stored tensors of a matrix: codes, scales, and the scale of the whole if the grid has one.
  public func parts(name: String, shape: [Int], grid: Grid) -> [StoredPart] {
    let isPacked = grid.codeBits == 4
    let columns = shape.last ?? 0
    let codeShape = isPacked ? shape.dropLast() + [columns / 2] : shape
    let scaleShape = grid.scaleShape(rows: shape.dropLast().reduce(1, *), columns: columns)
    let scaleType = storedScaleType(grid)
    let codeType = isPacked ? ElementType.u8 : ElementType.allCases.first { $0.schemeName == grid.layout } ?? .u8
    var parts = [
      StoredPart(name: name + codes, shape: codeShape, type: .element(codeType), byteCount: codeShape.reduce(1, *)),
      StoredPart(
        name: name + scales, shape: grid.tileRows == nil ? numberShape : scaleShape, type: .element(scaleType),
        byteCount: scaleShape.reduce(scaleType.bitCount / 8, *)),
    ]
    if grid.globalScale != nil {
      parts.append(StoredPart(name: name + globalScale, shape: numberShape, type: .element(.f32), byteCount: 4))
    }
    return parts
  }

  /// Bytes of some rows, one array per part. A scale of the whole tensor comes with the first rows.
  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, grid: Grid) -> [[UInt8]] {
    let isFirst = rows.lowerBound == 0
    let scaleType = storedScaleType(grid) == .u8 ? .f8e8m0 : storedScaleType(grid)
    var parts = [
      panel.codeBytes(bits: Int(grid.codeBits)),
      grid.tileRows != nil || isFirst ? NumberConversion.bytes(of: panel.parameters(at: 0), as: scaleType) : [],
    ]
    if grid.globalScale != nil {
      parts.append(isFirst ? NumberConversion.bytes(of: panel.parameters.dropFirst().prefix(1) + [], as: .f32) : [])
    }
    return parts
  }

  private func storedScaleType(_ grid: Grid) -> ElementType { scaleType ?? (grid.scaleType == .f8e8m0 ? .u8 : grid.scaleType) }
}

extension Grid {
  /// Shape of the scales of a matrix: rows of tiles, or `[1]` if one tile spans the matrix.
  public func scaleShape(rows: Int, columns: Int) -> [Int] {
    guard let tileRows else { return [1] }
    // The tile size comes from a file: adding to it could overflow.
    func tiles(_ count: Int, _ length: Int) -> Int { count < 1 || length < 1 ? 0 : (count - 1) / length + 1 }
    return [tiles(rows, tileRows), groupLength.map { tiles(columns, $0) } ?? 1]
  }
}
