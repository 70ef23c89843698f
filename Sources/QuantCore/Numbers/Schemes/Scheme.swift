/// Which values a group of weights can hold (the *grid*), and which are chosen if nothing more is known (the *rule*).
///
/// Every call works on a panel, a rectangle of a weight matrix made of whole tiles, never on a single weight. A tile is
/// `groupLength` columns (or the whole row) of `tileRows` rows, nearly always one; its parameters (scale, zero point,
/// minimum, sub-scales) are kept as floats that hold exactly what will be stored. Only tiles of several rows may be cut short, and
/// only at the right and lower edges of the matrix.
///
/// Implement the requirements without a default:
///
/// - `encode` chooses parameters *and* codes as the scheme's own project does. This is rounding to nearest.
/// - `fit` chooses parameters only, rounded as stored: for methods with error feedback.
/// - `nearest` chooses codes for given stored parameters, for all columns of a group or some.
/// - `value` gives the values that the codes stand for.
///
/// For every panel, `value(encode(x))` must equal the values that a client of the packed file computes, bit for bit. Calls come from
/// several threads. The other requirements have defaults that suit most schemes. If several tiles share a parameter, conform to
/// `SharedScaleScheme`; if parameters are quantized themselves, to `NestingScheme`.
public protocol Scheme: Sendable {
  /// The scheme's name: `q4_k`, `int4-g128`, `int8-channel`, `bf16`.
  var name: String { get }
  /// What is stored. Packings are chosen by the grid alone; two rules on one grid share their packings.
  var grid: Grid { get }
  /// Floats kept per tile, in a documented order.
  var parameterCount: Int { get }

  // MARK: The rule

  /// Parameters and codes of every tile, by the scheme's own rule.
  /// - Parameter importance: one non-negative value per column of the panel, or nil.
  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel)
  /// Parameters of every tile, rounded as stored; the codes of `result` are not changed.
  func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel)
  /// Codes of the columns in `columns` (relative to the panel) for the parameters in `result`.
  /// - Parameter panel: as wide as `result`; only `columns` of it are read.
  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel)
  /// The values that the codes in `columns` stand for, written at their places in `destination` (`rows * columns` floats).
  func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>)
  /// The panel after rounding by the rule (`rows * columns` floats): `value(encode(panel))`, without codes if the scheme
  /// has a faster way.
  func roundTrip(_ panel: Panel, importance: [Float]?, into destination: UnsafeMutablePointer<Float>)

  // MARK: For few rules

  /// The same grid with a wider search for its parameters, which never gives a tile a larger error; nil if the rule has none.
  var widerSearch: (any Scheme)? { get }
  /// The tensors that conversions refuse to round by this rule without importance.
  var importanceNeed: ImportanceNeed { get }
  /// Columns whose codes are chosen together, because one point of a codebook stands for all of them. `nearest` is called for all
  /// of them at once.
  var jointColumns: Int { get }
  /// Codes of `jointColumns` columns from a multiple of that on, for parameters in `result`, so that `eᵀ·M·e` is small for the
  /// errors `e` of each row: for methods whose errors in one column matter more or less with those in another.
  /// - Parameter metric: M, square, symmetric and positive definite.
  func nearest(_ panel: Panel, columns: Range<Int>, metric: [Float], into result: inout QuantizedPanel)

  /// The parameters of a tile that can be improved once codes are chosen, those of sub-blocks before those of the whole tile. Empty: none.
  var adjustableParameters: [AdjustableParameter] { get }

  // MARK: Lattices

  /// Parameters, rounded as stored, of a tile whose weights are values of this grid already, up to rounding to the type that they are
  /// stored in (`LatticeSearch`); nil if they are not, if all are 0, or if the scheme does not look for such tiles.
  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]?

  // MARK: Repacking

  /// How codes and parameters of another scheme become this one's without rounding any weight, or nil if they cannot. The default
  /// covers equal grids; a scheme states here which other grids are part of its own.
  func repacking(of source: any Scheme) -> Repacking?
  /// Schemes that this one is a special case of, each with its conversion: a scheme that can hold one of them can hold this one.
  var generalizations: [(scheme: any Scheme, repacking: Repacking)] { get }
}

extension Scheme {
  public func roundTrip(_ panel: Panel, importance: [Float]?, into destination: UnsafeMutablePointer<Float>) {
    var quantized = emptyPanel(rows: panel.rows, columns: panel.columns)
    encode(panel, importance: importance, into: &quantized)
    value(quantized, columns: 0..<panel.columns, into: destination)
  }

  public var widerSearch: (any Scheme)? { nil }
  public var importanceNeed: ImportanceNeed { .none }
  public var jointColumns: Int { 1 }
  public var adjustableParameters: [AdjustableParameter] { [] }

  public func nearest(_ panel: Panel, columns: Range<Int>, metric: [Float], into result: inout QuantizedPanel) {
    nearest(panel, columns: columns, into: &result)
  }

  public func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? { nil }

  public func repacking(of source: any Scheme) -> Repacking? {
    source.grid == grid && source.parameterCount == parameterCount ? .identity : nil
  }

  public var generalizations: [(scheme: any Scheme, repacking: Repacking)] { [] }
}

extension Scheme {
  /// Columns that share one tile in rows of `columns` weights.
  public func groupLength(columns: Int) -> Int { grid.groupLength ?? columns }

  /// How codes and parameters of another scheme become this one's: directly, or through one that the other is a special case of.
  public func move(from source: any Scheme) -> Repacking? {
    if let repacking = repacking(of: source) { return repacking }
    let ways = source.generalizations.compactMap { general in repacking(of: general.scheme).map { general.repacking.followed(by: $0) } }
    return ways.first { $0.fidelity == .exact } ?? ways.first
  }

  /// Whether rows of this length can be stored. Blocks of several rows are cut at the edges of the matrix; groups are not.
  public func fits(columns: Int) -> Bool {
    // Plain floats have no parameters, so rows without columns are allowed.
    if grid.kind == .float { return true }
    guard let length = grid.groupLength, grid.tileRows == 1 else { return columns > 0 }
    return columns > 0 && columns.isMultiple(of: length)
  }

  /// Bits per weight in rows of `columns` weights, parameters included (those of a whole tensor are not counted).
  public func bitsPerWeight(columns: Int) -> Double {
    guard let tileRows = grid.tileRows else { return grid.codeBits }
    return grid.codeBits + grid.parameterBits / Double(groupLength(columns: columns) * tileRows)
  }

  /// An empty result for a panel of this shape.
  public func emptyPanel(rows: Int, columns: Int) -> QuantizedPanel {
    QuantizedPanel(
      rows: rows, columns: columns, groupLength: groupLength(columns: columns), tileRows: grid.tileRows ?? rows,
      parameterCount: parameterCount)
  }

  /// The values that all codes of a panel stand for.
  public func values(_ quantized: QuantizedPanel) -> [Float] {
    var values = [Float](repeating: 0, count: quantized.rows * quantized.columns)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { value(quantized, columns: 0..<quantized.columns, into: base) }
    }
    return values
  }

  /// The panel after rounding by the rule, as an array.
  public func roundTrip(_ panel: Panel, importance: [Float]? = nil) -> [Float] {
    [Float](unsafeUninitializedCapacity: panel.rows * panel.columns) { buffer, count in
      if let base = buffer.baseAddress { roundTrip(panel, importance: importance, into: base) }
      count = panel.rows * panel.columns
    }
  }
}

/// Which tensors a rule rounds only with importance.
public enum ImportanceNeed: Sendable, Hashable {
  /// None.
  case none
  /// All but the embedding and the output matrix, for which importance is rarely available.
  case layers
  /// All.
  case everything
}

/// What is stored for a tile: the identity that packings look at.
public struct Grid: Sendable, Hashable {
  /// How a code becomes a value.
  public enum Kind: String, Sendable {
    /// A float, stored as it is (codes are bit patterns; no parameters).
    case float
    /// `code * scale` with signed integer codes.
    case symmetricInteger
    /// `(code - zero) * scale` with unsigned integer codes.
    case asymmetricInteger
    /// `code * scale + minimum` with unsigned integer codes, computed in the type of the scales.
    case affineInteger
    /// `float * scale`, where codes are the bit patterns of a short float that `layout` names.
    case scaledFloat
    /// A block layout that only one format stores, named by `layout`.
    case block
  }

  /// The family of grids.
  public var kind: Kind
  /// Name of the layout if `kind` is `.block`, `.float` or `.scaledFloat` (`q4_k`, `bf16`, `f8_e4m3`); otherwise empty.
  public var layout: String
  /// Columns per tile; nil if a tile is a whole row.
  public var groupLength: Int?
  /// Rows per tile; nil if a tile spans the whole tensor.
  public var tileRows: Int?
  /// Columns that share one scale, if a tile is a super-block; otherwise equal to `groupLength`.
  public var scaleLength: Int?
  /// Bits of one code.
  public var codeBits: Double
  /// Bits of all parameters of one tile.
  public var parameterBits: Double
  /// Type in which scales are stored, for the integer and scaled kinds.
  public var scaleType: ElementType
  /// How an F32 scale of the whole tensor is combined with those of its tiles; nil if there is none.
  public var globalScale: GlobalScale?

  /// What happens to the scale of a tile.
  public enum GlobalScale: Sendable, Hashable {
    /// It is multiplied by the tensor's.
    case factor
    /// It is divided by the tensor's.
    case divisor
  }

  public init(
    kind: Kind, layout: String = "", groupLength: Int?, tileRows: Int? = 1, scaleLength: Int? = nil, codeBits: Double,
    parameterBits: Double, scaleType: ElementType = .f16, globalScale: GlobalScale? = nil
  ) {
    self.kind = kind
    self.layout = layout
    self.groupLength = groupLength
    self.tileRows = tileRows
    self.scaleLength = scaleLength ?? groupLength
    self.codeBits = codeBits
    self.parameterBits = parameterBits
    self.scaleType = scaleType
    self.globalScale = globalScale
  }
}

/// Codes and parameters of a panel, exactly as they will be stored.
public struct QuantizedPanel: Sendable, Equatable {
  /// Rows of the panel.
  public let rows: Int
  /// Columns of the panel.
  public let columns: Int
  /// Columns per tile.
  public let groupLength: Int
  /// Rows per tile.
  public let tileRows: Int
  /// Floats per tile.
  public let parameterCount: Int
  /// `rows * columns` codes, row-major. For plain floats a code is the bit pattern.
  public var codes: [Int32]
  /// `ceil(rows / tileRows) * groupsPerRow * parameterCount` floats: tile after tile along each row of tiles.
  public var parameters: [Float]

  public init(rows: Int, columns: Int, groupLength: Int, tileRows: Int = 1, parameterCount: Int) {
    self.rows = rows
    self.columns = columns
    self.groupLength = max(1, groupLength)
    self.tileRows = max(1, tileRows)
    self.parameterCount = parameterCount
    codes = [Int32](repeating: 0, count: rows * columns)
    parameters = []
    parameters = [Float](repeating: 0, count: tileRowCount * groupsPerRow * parameterCount)
  }

  /// Tiles in one row; the last may be cut short.
  public var groupsPerRow: Int { (columns + groupLength - 1) / groupLength }
  /// Rows of tiles; the last may be cut short.
  public var tileRowCount: Int { (rows + tileRows - 1) / tileRows }
  /// Index in `parameters` of the first parameter of the tile that holds a row (of the panel) in a group.
  public func parameterIndex(row: Int, group: Int) -> Int {
    // Almost every scheme has tiles of one row: a division per weight would cost more than its code.
    ((tileRows == 1 ? row : row / tileRows) * groupsPerRow + group) * parameterCount
  }

  /// Calls `body` row by row for the part of each tile that lies in some columns, with the index in `parameters` of the tile's first.
  public func forEachTile(in columns: Range<Int>, _ body: (_ row: Int, _ columns: Range<Int>, _ parameter: Int) -> Void) {
    guard !columns.isEmpty else { return }
    for row in 0..<rows {
      for group in columns.lowerBound / groupLength...(columns.upperBound - 1) / groupLength {
        body(row, columns.clamped(to: group * groupLength..<(group + 1) * groupLength), parameterIndex(row: row, group: group))
      }
    }
  }
}
