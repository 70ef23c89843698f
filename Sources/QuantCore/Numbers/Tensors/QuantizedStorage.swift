/// Storage that can hand out codes and parameters as they are stored, so that they can be repacked without rounding any
/// weight.
public protocol QuantizedStorage: TensorStorage {
  /// The scheme whose grid the codes and parameters are on. The grid says what is stored, including the type of the scales; its rule
  /// need not be the one by which they were chosen.
  var scheme: any Scheme { get }
  /// Codes and parameters of some rows.
  /// - Precondition: `rows` is within the tensor and begins at a multiple of the grid's `tileRows`.
  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel
}

extension QuantizedStorage {
  public var schemeName: String { scheme.name }
  public var isNumeric: Bool { true }
  public var codes: (any QuantizedStorage)? { self }

  public func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    scheme.value(panel(rows: rows, rowLength: rowLength), columns: 0..<rowLength, into: destination)
  }
}
