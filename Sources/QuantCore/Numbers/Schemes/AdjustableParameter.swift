/// A parameter of a tile that methods may change after codes are chosen: each value of the tile is `a + b·p` in this parameter `p`,
/// with `a` and `b` that depend on the codes and on the other parameters.
public struct AdjustableParameter: Sendable, Hashable {
  /// Where its value is stored.
  public enum Storage: Sendable, Hashable {
    /// As a float of this type.
    case float(ElementType)
    /// As a whole number in this range.
    case integer(ClosedRange<Int>)
  }

  /// Its place among the parameters of the tile.
  public let index: Int
  /// The columns of the tile whose values depend on it; nil: all.
  public let columns: Range<Int>?
  /// How it is stored.
  public let storage: Storage
  /// Whether it belongs to the parameters that, multiplied by one number, multiply all values of the tile by it.
  public let isFactor: Bool

  public init(_ index: Int, columns: Range<Int>? = nil, storage: Storage, isFactor: Bool = false) {
    self.index = index
    self.columns = columns
    self.storage = storage
    self.isFactor = isFactor
  }

  /// The number nearest to `value` that can be stored; nil if there is none, because the value is not finite or becomes infinite.
  public func stored(_ value: Float) -> Float? {
    guard value.isFinite else { return nil }
    switch storage {
    case .float(let type):
      let rounded = NumberConversion.rounded(value, to: type)
      return rounded.isFinite ? rounded : nil
    case .integer(let range):
      return min(max(value.rounded(.toNearestOrEven), Float(range.lowerBound)), Float(range.upperBound))
    }
  }
}

extension [AdjustableParameter] {
  /// A scale in front of everything, or a scale and a minimum.
  public static func factors(_ count: Int, stored type: ElementType) -> [AdjustableParameter] {
    (0..<count).map { AdjustableParameter($0, storage: .float(type), isFactor: true) }
  }

  /// Whole numbers of consecutive sub-blocks of `length` columns, the first of them at `index`.
  public static func integers(_ range: ClosedRange<Int>, from index: Int, subBlocks count: Int, length: Int) -> [AdjustableParameter] {
    (0..<count).map { AdjustableParameter(index + $0, columns: $0 * length..<($0 + 1) * length, storage: .integer(range)) }
  }
}
