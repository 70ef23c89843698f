import QuantCore

extension MetadataValue {
  /// The name of the type as `inspect` prints it: `u32`, `string`, `f32 array`.
  var typeName: String { parts.type + (elementCount == nil ? "" : " array") }

  /// The length of an array; nil for a single value.
  var elementCount: Int? { parts.count }

  /// The value, with at most `limit` elements of an array.
  func json(limit: Int) -> JSON {
    let elements = parts.elements(parts.count == nil ? 1 : limit)
    return parts.count == nil ? elements.first ?? .null : .array(elements)
  }

  private struct Parts {
    var type: String
    var count: Int?
    var elements: (Int) -> [JSON]
  }

  /// One row per type: its name, its length if it is an array, its first elements as JSON.
  private var parts: Parts {
    switch self {
    case .u8(let v): one("u8", .number("\(v)"))
    case .i8(let v): one("i8", .number("\(v)"))
    case .u16(let v): one("u16", .number("\(v)"))
    case .i16(let v): one("i16", .number("\(v)"))
    case .u32(let v): one("u32", .number("\(v)"))
    case .i32(let v): one("i32", .number("\(v)"))
    case .u64(let v): one("u64", .number("\(v)"))
    case .i64(let v): one("i64", .number("\(v)"))
    case .f32(let v): one("f32", MetadataValue.json(v))
    case .f64(let v): one("f64", .double(v))
    case .bool(let v): one("bool", .bool(v))
    case .string(let v): one("string", .string(v))
    case .u8s(let v): many("u8", v) { .number("\($0)") }
    case .i8s(let v): many("i8", v) { .number("\($0)") }
    case .u16s(let v): many("u16", v) { .number("\($0)") }
    case .i16s(let v): many("i16", v) { .number("\($0)") }
    case .u32s(let v): many("u32", v) { .number("\($0)") }
    case .i32s(let v): many("i32", v) { .number("\($0)") }
    case .u64s(let v): many("u64", v) { .number("\($0)") }
    case .i64s(let v): many("i64", v) { .number("\($0)") }
    case .f32s(let v): many("f32", v, MetadataValue.json)
    case .f64s(let v): many("f64", v) { .double($0) }
    case .bools(let v): many("bool", v) { .bool($0) }
    case .strings(let v): many("string", v) { .string($0) }
    }
  }

  /// The shortest decimal that reads back as the same 32-bit float; null if it is not finite.
  private static func json(_ value: Float) -> JSON { value.isFinite ? .number("\(value)") : .null }

  private func one(_ type: String, _ value: JSON) -> Parts { Parts(type: type, count: nil) { _ in [value] } }

  private func many<Element>(_ type: String, _ values: [Element], _ json: @escaping (Element) -> JSON) -> Parts {
    Parts(type: type, count: values.count) { limit in values.prefix(limit).map(json) }
  }
}
