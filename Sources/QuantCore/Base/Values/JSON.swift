/// A JSON value that keeps the order of keys. Numbers keep their spelling, so that nothing is lost before the caller says
/// which type it wants.
public enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The number as it was written (`1e-05`; `NaN` only if the `ParseOptions` allow it).
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  /// One `key: value` pair.
  public struct Member: Sendable, Equatable {
    /// The key, as text.
    public var key: String
    /// Its value.
    public var value: JSON
    public init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }

  /// A whole number.
  public static func int(_ value: Int) -> JSON { .number(String(value)) }
  /// A number; `null` if it is not finite.
  public static func double(_ value: Double) -> JSON { .number(value.isFinite ? "\(value)" : "null") }
  /// A number that may have been stored in 32 bits: written with the fewest digits that restore it.
  public static func shortest(_ value: Double) -> JSON {
    let float = Float(value)
    return Double(float) == value && value.isFinite ? .number("\(float)") : .double(value)
  }

  /// The value of a key in an object, or nil.
  public subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var arrayValue: [JSON]? { if case .array(let value) = self { value } else { nil } }
  public var objectValue: [Member]? { if case .object(let value) = self { value } else { nil } }
  public var intValue: Int? { if case .number(let text) = self { Int(text) } else { nil } }
  public var doubleValue: Double? { if case .number(let text) = self { Double(text) } else { nil } }
  public var isNull: Bool { self == .null }
}
