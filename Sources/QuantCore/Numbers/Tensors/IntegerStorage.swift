/// Integer codes of a matrix with their scales and zero points, in any layout that a format uses.
///
/// Codes are unsigned here: a code runs from 0 to `2^b - 1`, and a value is `(code - zero) * scale`. Symmetric groups have the zero
/// point `2^(b-1)`.
public struct IntegerParts: Sendable {
  /// How codes are stored.
  public enum Codes: Sendable {
    /// Words of successive columns, one line per row.
    case alongRows(PackedIntegers)
    /// Words of successive rows, one line per column.
    case downColumns(PackedIntegers)
    /// Row after row, one signed byte per code: the code minus `2^(b-1)`.
    case signedBytes(ByteView)
  }

  /// How zero points are stored.
  public enum Zeros: Sendable {
    /// Not at all: every zero point is `2^(b-1)`.
    case middle
    /// Words of successive rows, one line per group.
    case downRows(PackedIntegers)
    /// Row after row, one signed byte per group: the zero point minus `2^(b-1)`.
    case signedBytes(ByteView)
  }

  public let rows: Int
  public let columns: Int
  /// Bits of a code: 2 to 8.
  public let bits: Int
  /// Groups per row.
  public let groups: Int
  public let scales: StoredScales
  private let codes: Codes
  private let zeros: Zeros

  /// - Returns: nil if codes or zero points do not fit such a matrix.
  public init?(rows: Int, columns: Int, bits: Int, groups: Int, codes: Codes, scales: StoredScales, zeros: Zeros) {
    guard rows > 0, columns > 0, groups > 0, (2...8).contains(bits), Checked.product(rows, columns) != nil else { return nil }
    func isWide(_ packed: PackedIntegers, _ length: Int, _ lines: Int) -> Bool {
      packed.layout.bits == bits && packed.length >= length && packed.lines >= lines
    }
    switch codes {
    case .alongRows(let packed): guard isWide(packed, columns, rows) else { return nil }
    case .downColumns(let packed): guard isWide(packed, rows, columns) else { return nil }
    case .signedBytes(let bytes): guard bytes.count == Checked.product(rows, columns) else { return nil }
    }
    switch zeros {
    case .middle: break
    case .downRows(let packed): guard isWide(packed, rows, groups) else { return nil }
    case .signedBytes(let bytes): guard bytes.count == Checked.product(rows, groups) else { return nil }
    }
    self.rows = rows
    self.columns = columns
    self.bits = bits
    self.groups = groups
    self.codes = codes
    self.scales = scales
    self.zeros = zeros
  }

  private var half: Int32 { 1 << Int32(bits - 1) }

  /// Writes the codes of some rows, `rows.count * columns` of them.
  func unpack(_ rows: Range<Int>, into destination: UnsafeMutablePointer<Int32>) {
    switch codes {
    case .alongRows(let packed):
      packed.unpack(0..<columns, lines: rows, into: destination, codeStride: 1, lineStride: columns)
    case .downColumns(let packed):
      packed.unpack(rows, lines: 0..<columns, into: destination, codeStride: columns, lineStride: 1)
    case .signedBytes(let bytes):
      bytes.withUnsafeBytes { raw in
        for index in 0..<rows.count * columns {
          destination[index] = Int32(Int8(bitPattern: raw[rows.lowerBound * columns + index])) + half
        }
      }
    }
  }

  func zero(row: Int, group: Int) -> Int32 {
    switch zeros {
    case .middle: half
    case .downRows(let packed): packed.code(row, line: group)
    case .signedBytes(let bytes): bytes.withUnsafeBytes { Int32(Int8(bitPattern: $0[row * groups + group])) + half }
    }
  }

  /// The weights of some rows.
  /// - Parameter groupOfColumn: nil if groups are neighbouring columns; then their number divides that of the columns.
  func decode(_ rows: Range<Int>, groupOfColumn: [Int32]?, into destination: UnsafeMutablePointer<Float>) {
    let length = columns / groups
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: columns * rows.count) { codes in
      withUnsafeTemporaryAllocation(of: (zero: Int32, scale: Float).self, capacity: groups) { parameters in
        guard let base = codes.baseAddress else { return }
        unpack(rows, into: base)
        for row in rows {
          for group in 0..<groups { parameters[group] = (zero(row: row, group: group), scales.value(row: row, group: group)) }
          let codes = base + (row - rows.lowerBound) * columns, target = destination + (row - rows.lowerBound) * columns
          if let groupOfColumn {
            for column in 0..<columns {
              let (zero, scale) = parameters[Int(groupOfColumn[column])]
              target[column] = Float(codes[column] &- zero) * scale
            }
          } else {
            for group in 0..<groups {
              let (zero, scale) = parameters[group]
              for column in group * length..<(group + 1) * length { target[column] = Float(codes[column] &- zero) * scale }
            }
          }
        }
      }
    }
  }
}

/// Integers whose groups are neighbouring columns.
public struct IntegerStorage: QuantizedStorage {
  public let scheme: any Scheme
  public let byteCount: Int
  public let verbatim: ByteView? = nil
  private let parts: IntegerParts
  private let isSymmetric: Bool

  /// - Parameters:
  ///   - groupLength: columns per group; nil for whole rows.
  ///   - isSymmetric: whether zero points are left out. Then they must be in the middle.
  ///   - byteCount: bytes of all stored parts.
  /// - Returns: nil if the columns do not divide into such groups.
  public init?(_ parts: IntegerParts, groupLength: Int?, isSymmetric: Bool, byteCount: Int) {
    guard Checked.product(groupLength ?? parts.columns, parts.groups) == parts.columns,
      let scheme = IntegerScheme(bits: parts.bits, groupLength: groupLength, isSymmetric: isSymmetric, modelType: parts.scales.type)
    else { return nil }
    self.parts = parts
    self.isSymmetric = isSymmetric
    self.scheme = scheme
    self.byteCount = byteCount
  }

  public func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    parts.decode(rows, groupOfColumn: nil, into: destination)
  }

  public func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: rows.count, columns: rowLength)
    panel.codes.withUnsafeMutableBufferPointer { codes in
      if let base = codes.baseAddress { parts.unpack(rows, into: base) }
      if isSymmetric {
        let half: Int32 = 1 << Int32(parts.bits - 1)
        for index in codes.indices { codes[index] -= half }
      }
    }
    for (local, row) in rows.enumerated() {
      for group in 0..<parts.groups {
        let index = panel.parameterIndex(row: local, group: group)
        panel.parameters[index] = parts.scales.value(row: row, group: group)
        if !isSymmetric { panel.parameters[index + 1] = Float(parts.zero(row: row, group: group)) }
      }
    }
    return panel
  }
}

/// Integers whose groups are columns anywhere in the matrix: columns that were rounded one after another, in order of decreasing
/// activations (GPTQ with `desc_act`). No other format has such groups, so codes are not handed out, only weights.
public struct OrderedIntegerStorage: TensorStorage {
  public let schemeName: String
  public let byteCount: Int
  public let isNumeric = true
  public let verbatim: ByteView? = nil
  private let parts: IntegerParts
  private let groupOfColumn: [Int32]

  /// - Parameter groupOfColumn: a group for each column.
  /// - Returns: nil if a column names a group that does not exist.
  public init?(_ parts: IntegerParts, groupOfColumn: [Int32], isSymmetric: Bool, byteCount: Int) {
    guard groupOfColumn.count == parts.columns, groupOfColumn.allSatisfy({ $0 >= 0 && $0 < parts.groups }) else { return nil }
    self.parts = parts
    self.groupOfColumn = groupOfColumn
    self.byteCount = byteCount
    schemeName = "int\(parts.bits)-act-order" + (isSymmetric ? "" : "-asym")
  }

  public func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    parts.decode(rows, groupOfColumn: groupOfColumn, into: destination)
  }
}
