/// A typed metadata value, with the types of GGUF (the format with the most types).
public enum MetadataValue: Sendable, Equatable {
  case u8(UInt8), i8(Int8), u16(UInt16), i16(Int16), u32(UInt32), i32(Int32), u64(UInt64), i64(Int64)
  case f32(Float), f64(Double)
  case bool(Bool)
  case string(String)
  case u8s([UInt8]), i8s([Int8]), u16s([UInt16]), i16s([Int16]), u32s([UInt32]), i32s([Int32]), u64s([UInt64]), i64s([Int64])
  case f32s([Float]), f64s([Double]), bools([Bool]), strings([String])

  /// An integer of any width that fits an `Int`.
  public var intValue: Int? {
    switch self {
    case .u8(let v): Int(v)
    case .i8(let v): Int(v)
    case .u16(let v): Int(v)
    case .i16(let v): Int(v)
    case .u32(let v): Int(v)
    case .i32(let v): Int(v)
    case .u64(let v): Int(exactly: v)
    case .i64(let v): Int(exactly: v)
    default: nil
    }
  }

  /// A floating-point number of either width, or an integer.
  public var doubleValue: Double? {
    switch self {
    case .f32(let v): Double(v)
    case .f64(let v): v
    default: intValue.map(Double.init)
    }
  }

  public var stringValue: String? { if case .string(let v) = self { v } else { nil } }
  public var boolValue: Bool? { if case .bool(let v) = self { v } else { nil } }
}

/// Metadata in the order of the file, with unique keys.
public struct KeyValues: Sendable, Equatable {
  /// All entries, in the order of the file.
  public private(set) var entries: [(key: String, value: MetadataValue)] = []
  private var positions: [String: Int] = [:]

  public init() {}

  /// Reads, replaces in place, appends, or (with nil) removes.
  public subscript(key: String) -> MetadataValue? {
    get { positions[key].map { entries[$0].value } }
    set {
      if let position = positions[key] {
        if let newValue {
          entries[position].value = newValue
        } else {
          entries.remove(at: position)
          positions = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
        }
      } else if let newValue {
        positions[key] = entries.count
        entries.append((key, newValue))
      }
    }
  }

  public static func == (a: KeyValues, b: KeyValues) -> Bool {
    a.entries.count == b.entries.count && zip(a.entries, b.entries).allSatisfy { $0.key == $1.key && $0.value == $1.value }
  }
}
