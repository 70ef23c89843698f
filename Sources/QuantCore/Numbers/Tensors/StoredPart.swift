/// One tensor as a format stores it.
public struct StoredPart: Sendable, Equatable {
  /// Its name in the format.
  public var name: String
  /// Dimensions, outermost first, counted in `type`'s elements (for a block layout: in weights).
  public var shape: [Int]
  /// Its type in the format.
  public var type: StoredType
  /// Length in bytes.
  public var byteCount: Int
  /// How the bytes of successive rows of the matrix are joined.
  public var order: Order

  /// How the bytes of successive calls of `pack` are joined.
  public enum Order: Sendable, Equatable {
    /// Each follows the one before.
    case appended
    /// Each holds some columns of the stored matrix `[shape[0], …]`, row after row: outputs are side by side.
    case sideBySide
    /// The part is filled several times, and the bits of each byte come together: each byte that arrives holds the bits of one of these
    /// layers, and the others are 0.
    case overlaid(Int)
  }

  public init(name: String, shape: [Int], type: StoredType, byteCount: Int, order: Order = .appended) {
    self.name = name
    self.shape = shape
    self.type = type
    self.byteCount = byteCount
    self.order = order
  }

  /// The type of an element, or nil for a block layout.
  package var elementType: ElementType? { if case .element(let type) = type { type } else { nil } }
}

/// The type that a format records for a tensor.
public enum StoredType: Sendable, Hashable {
  case element(ElementType)
  /// A block layout by the name of its scheme (`q4_k`).
  case blocks(String)
}
