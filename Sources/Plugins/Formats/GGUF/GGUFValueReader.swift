import QuantCore

/// Reads one typed value of the metadata.
struct GGUFValueReader {
  /// Key of the value, for errors.
  let key: String

  /// Numbers of the value types in the file.
  enum ValueType: UInt32 {
    case u8, i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

    /// Bytes of one value; for strings and arrays, the smallest possible number.
    var byteCount: Int {
      switch self {
      case .u8, .i8, .bool: 1
      case .u16, .i16: 2
      case .u32, .i32, .f32: 4
      case .u64, .i64, .f64, .string: 8
      case .array: 12
      }
    }
  }

  private static let maximumNesting = 16
  private var short: Failure { GGUFHeader.truncated("metadata (value of '\(key)')") }

  private func bad(_ id: String, _ message: String, at offset: Int) -> Failure {
    Failure(.data, id, "the value of '\(key)' \(message)", byteOffset: offset)
  }

  func value(_ reader: inout ByteReader) throws(Failure) -> MetadataValue {
    let start = reader.offset
    let number = try reader.u32(short)
    guard let type = ValueType(rawValue: number) else { throw bad("gg.value.type", "has the unknown type \(number)", at: start) }
    switch type {
    case .u8: return .u8(try reader.u8(short))
    case .i8: return .i8(Int8(bitPattern: try reader.u8(short)))
    case .u16: return .u16(try reader.u16(short))
    case .i16: return .i16(Int16(bitPattern: try reader.u16(short)))
    case .u32: return .u32(try reader.u32(short))
    case .i32: return .i32(Int32(bitPattern: try reader.u32(short)))
    case .u64: return .u64(try reader.u64(short))
    case .i64: return .i64(Int64(bitPattern: try reader.u64(short)))
    case .f32: return .f32(Float(bitPattern: try reader.u32(short)))
    case .f64: return .f64(Double(bitPattern: try reader.u64(short)))
    case .bool: return .bool(try bool(&reader))
    case .string: return .string(try string(&reader))
    case .array: return try array(&reader)
    }
  }

  private func bool(_ reader: inout ByteReader) throws(Failure) -> Bool {
    let start = reader.offset
    let byte = try reader.u8(short)
    guard byte <= 1 else { throw bad("gg.bool.value", "has a boolean of \(byte) instead of 0 or 1", at: start) }
    return byte == 1
  }

  private func string(_ reader: inout ByteReader) throws(Failure) -> String {
    let start = reader.offset
    let length = try reader.u64(short)
    guard length <= UInt64(reader.remaining) else {
      throw bad("gg.string.length", "claims \(length) bytes, but only \(reader.remaining) are left", at: start)
    }
    let text = try reader.view(Int(length)).withUnsafeBytes { String(validating: $0, as: UTF8.self) }
    guard let text else { throw bad("gg.string.utf8", "contains text that is not UTF-8", at: start) }
    return text
  }

  private func array(_ reader: inout ByteReader) throws(Failure) -> MetadataValue {
    let start = reader.offset
    let number = try reader.u32(short)
    guard let type = ValueType(rawValue: number) else {
      throw bad("gg.array.type", "is an array of the unknown type \(number)", at: start)
    }
    let claimed = try reader.u64(short)
    guard let count = Int(exactly: claimed), let bytes = Checked.product(count, type.byteCount), bytes <= reader.remaining else {
      throw bad("gg.array.count", "claims \(claimed) elements, more than the file can hold", at: start)
    }
    switch type {
    case .array: throw try nesting(&reader, at: start)
    case .string:
      return .strings(try elements(count) { () throws(Failure) in try string(&reader) })
    case .bool: return .bools(try elements(count) { () throws(Failure) in try bool(&reader) })
    case .u8: return .u8s(try reader.view(bytes, short).bytes)
    case .i8: return .i8s(try reader.view(bytes, short).bytes.map { Int8(bitPattern: $0) })
    case .u16: return .u16s(try elements(count) { () throws(Failure) in try reader.u16(short) })
    case .i16: return .i16s(try elements(count) { () throws(Failure) in Int16(bitPattern: try reader.u16(short)) })
    case .u32: return .u32s(try elements(count) { () throws(Failure) in try reader.u32(short) })
    case .i32: return .i32s(try elements(count) { () throws(Failure) in Int32(bitPattern: try reader.u32(short)) })
    case .u64: return .u64s(try elements(count) { () throws(Failure) in try reader.u64(short) })
    case .i64: return .i64s(try elements(count) { () throws(Failure) in Int64(bitPattern: try reader.u64(short)) })
    case .f32: return .f32s(try elements(count) { () throws(Failure) in Float(bitPattern: try reader.u32(short)) })
    case .f64: return .f64s(try elements(count) { () throws(Failure) in Double(bitPattern: try reader.u64(short)) })
    }
  }

  /// Consecutive elements; the count has been checked against the remaining bytes.
  private func elements<Element>(_ count: Int, _ next: () throws(Failure) -> Element) throws(Failure) -> [Element] {
    var result: [Element] = []
    result.reserveCapacity(count)
    for _ in 0..<count { result.append(try next()) }
    return result
  }

  /// The error for an array of arrays: the specification allows it, but no program writes it.
  private func nesting(_ reader: inout ByteReader, at start: Int) throws(Failure) -> Failure {
    for _ in 0..<GGUFValueReader.maximumNesting {
      guard ValueType(rawValue: try reader.u32(short)) == .array else {
        return bad("gg.array.nested", "is an array of arrays, which is legal but not supported", at: start)
      }
      try reader.skip(8, short)
    }
    return bad("gg.array.depth", "has arrays nested more than \(GGUFValueReader.maximumNesting) deep", at: start)
  }
}
