/// One change to the metadata of an output: a key is set, or dropped.
public struct MetadataEdit: Sendable, Equatable {
  public var key: String
  /// nil: the key is dropped.
  public var value: MetadataValue?

  public init(key: String, value: MetadataValue?) {
    self.key = key
    self.value = value
  }

  /// An edit as typed: `KEY=TYPE:VALUE`, such as `general.name=str:My model`; for a list, `TYPE[]` and a JSON list.
  /// - Throws: `Failure` of kind usage that says what is expected.
  public init(_ text: String) throws(Failure) {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex,
      let colon = text[equals...].firstIndex(of: ":")
    else {
      throw Failure(
        .usage, "metadata.form", "'\(text)' is not KEY=TYPE:VALUE",
        remedy: "Write it like 'general.name=str:My model'; types: \(MetadataEdit.types.joined(separator: ", ")), and TYPE[] for a list.")
    }
    let type = String(text[text.index(after: equals)..<colon]), written = String(text[text.index(after: colon)...])
    key = String(text[..<equals])
    guard MetadataEdit.types.contains(type.hasSuffix("[]") ? String(type.dropLast(2)) : type) else {
      throw Failure(
        .usage, "metadata.type", "the type '\(type)' of '\(key)' is not a type of metadata",
        remedy: "Use one of \(MetadataEdit.types.joined(separator: ", ")), or TYPE[] for a list.")
    }
    value = type.hasSuffix("[]") ? MetadataEdit.list(written, String(type.dropLast(2))) : MetadataEdit.value(written, type)
    guard value != nil else {
      throw Failure(
        .usage, "metadata.value", "'\(written)' is not a value of type \(type) for '\(key)'",
        remedy: type.hasSuffix("[]") ? "Write a JSON list, such as [1, 2]." : "Check the value, and whether the type can hold it.")
    }
  }

  private static let types = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bool", "str"]

  private static func value(_ text: String, _ type: String) -> MetadataValue? {
    switch type {
    case "u8": UInt8(text).map { .u8($0) }
    case "i8": Int8(text).map { .i8($0) }
    case "u16": UInt16(text).map { .u16($0) }
    case "i16": Int16(text).map { .i16($0) }
    case "u32": UInt32(text).map { .u32($0) }
    case "i32": Int32(text).map { .i32($0) }
    case "u64": UInt64(text).map { .u64($0) }
    case "i64": Int64(text).map { .i64($0) }
    case "f32": Float(text).flatMap { $0.isFinite ? .f32($0) : nil }
    case "f64": Double(text).flatMap { $0.isFinite ? .f64($0) : nil }
    case "bool": Bool(text).map { .bool($0) }
    case "str": .string(text)
    default: nil
    }
  }

  private static func list(_ text: String, _ type: String) -> MetadataValue? {
    guard let elements = Array(text.utf8).withUnsafeBytes({ try? JSON.parse($0) })?.arrayValue else { return nil }
    let texts = elements.map { element -> String? in
      type == "str" ? element.stringValue : element.stringValue == nil ? element.text() : nil
    }
    let written = texts.compactMap { $0 }
    guard written.count == texts.count else { return nil }
    func all<Value>(_ parse: (String) -> Value?, _ wrap: ([Value]) -> MetadataValue) -> MetadataValue? {
      let values = written.compactMap { parse($0) }
      return values.count == written.count ? wrap(values) : nil
    }
    switch type {
    case "u8": return all({ UInt8($0) }) { .u8s($0) }
    case "i8": return all({ Int8($0) }) { .i8s($0) }
    case "u16": return all({ UInt16($0) }) { .u16s($0) }
    case "i16": return all({ Int16($0) }) { .i16s($0) }
    case "u32": return all({ UInt32($0) }) { .u32s($0) }
    case "i32": return all({ Int32($0) }) { .i32s($0) }
    case "u64": return all({ UInt64($0) }) { .u64s($0) }
    case "i64": return all({ Int64($0) }) { .i64s($0) }
    case "f32": return all({ Float($0) }) { .f32s($0) }
    case "f64": return all({ Double($0) }) { .f64s($0) }
    case "bool": return all({ Bool($0) }) { .bools($0) }
    case "str": return .strings(written)
    default: return nil
    }
  }
}
