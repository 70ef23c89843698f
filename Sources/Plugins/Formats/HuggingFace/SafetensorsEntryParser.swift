import QuantCore

/// Reads the description of one tensor in a safetensors header: `{"dtype": …, "shape": […], "data_offsets": [begin, end]}`.
struct SafetensorsEntryParser {
  let name: String
  /// Where the data begins in the file; offsets are relative to it.
  let dataStart: Int

  func entry(_ value: JSON) throws(Failure) -> SafetensorsHeader.Entry {
    try checkName()
    guard case .object(let fields) = value else { throw bad("st.field.type", "its description is not an object") }
    for field in fields where !["dtype", "shape", "data_offsets"].contains(field.key) {
      throw bad("st.field.unknown", "its description has the unknown field \(JSON.string(field.key).text())")
    }
    let type = try elementType(try field("dtype", of: value))
    let shape = try shape(try field("shape", of: value))
    let range = try range(try field("data_offsets", of: value))
    let byteCount = try byteCount(shape, type)
    guard byteCount == range.count else {
      throw Failure(
        .data, "st.size-mismatch", "its shape and type need \(byteCount) bytes, but its offsets span \(range.count)",
        byteOffset: range.lowerBound)
    }
    return SafetensorsHeader.Entry(name: name, type: type, shape: shape, range: range)
  }

  private func bad(_ id: String, _ message: String) -> Failure { Failure(.data, id, message, byteOffset: 8) }

  private func checkName() throws(Failure) {
    if name.isEmpty { throw bad("st.name.empty", "a tensor has an empty name") }
    if name.utf8.count > SafetensorsHeader.maximumNameBytes {
      throw bad("limit.name-length", "its name has \(name.utf8.count) bytes; at most \(SafetensorsHeader.maximumNameBytes) are supported")
    }
    if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      throw bad("st.name.control", "its name contains control characters")
    }
  }

  private func field(_ field: String, of value: JSON) throws(Failure) -> JSON {
    guard let found = value[field] else { throw bad("st.field.missing", "its description has no \(field)") }
    return found
  }

  private func elementType(_ value: JSON) throws(Failure) -> ElementType {
    guard let text = value.stringValue else { throw bad("st.field.type", "its dtype is not a string") }
    guard let type = ElementType(rawValue: text) else {
      throw bad("st.dtype.unknown", "its dtype \(value.text()) is unknown")
    }
    return type
  }

  private func shape(_ value: JSON) throws(Failure) -> [Int] {
    guard case .array(let dimensions) = value else { throw bad("st.shape.type", "its shape is not an array") }
    guard dimensions.count <= SafetensorsHeader.maximumRank else {
      throw bad("limit.rank", "has \(dimensions.count) dimensions; at most \(SafetensorsHeader.maximumRank) are supported")
    }
    var shape: [Int] = []
    for dimension in dimensions {
      let size = try number(dimension, "shape")
      guard let size = Int(exactly: size) else { throw overflow }
      shape.append(size)
    }
    return shape
  }

  /// The tensor's bytes in the file.
  private func range(_ value: JSON) throws(Failure) -> Range<Int> {
    guard case .array(let offsets) = value else { throw bad("st.field.type", "its data_offsets are not an array") }
    guard offsets.count == 2 else {
      throw bad("st.offsets.arity", "its data_offsets are \(offsets.count) numbers instead of two")
    }
    let begin = try number(offsets[0], "data_offsets"), end = try number(offsets[1], "data_offsets")
    guard begin <= end else { throw bad("st.offsets.reversed", "ends at \(end), before its beginning at \(begin)") }
    guard let first = Int(exactly: begin).flatMap({ Checked.sum($0, dataStart) }),
      let last = Int(exactly: end).flatMap({ Checked.sum($0, dataStart) })
    else { throw overflow }
    return first..<last
  }

  private var overflow: Failure { bad("st.overflow", "its size exceeds 64 bits") }

  private func byteCount(_ shape: [Int], _ type: ElementType) throws(Failure) -> Int {
    // Zeros are left out first: no product of some dimensions may overflow.
    guard let others = Checked.product(of: shape.lazy.filter { $0 != 0 }), Checked.product(others, type.bitCount) != nil else {
      throw overflow
    }
    let isEmpty = shape.contains(0)
    // Nothing in the file bounds the other dimensions of a tensor without elements.
    guard !isEmpty || others <= Int(Int32.max) else { throw overflow }
    let bits = isEmpty ? 0 : others * type.bitCount
    guard bits % 8 == 0 else {
      throw bad("st.subbyte", "its \(others) elements of \(type.bitCount) bits do not fill whole bytes")
    }
    return bits / 8
  }

  private func number(_ value: JSON, _ field: String) throws(Failure) -> UInt64 {
    guard case .number(let text) = value else { throw bad("st.field.type", "its \(field) contains something that is not a number") }
    if text.utf8.contains(where: { [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains($0) }) {
      throw bad("st.number.not-integer", "its \(field) contains \(text), which is not written as an integer")
    }
    if text.hasPrefix("-") { throw bad("st.number.negative", "its \(field) contains \(text)") }
    guard let number = UInt64(text) else { throw bad("st.number.range", "its \(field) contains \(text), which exceeds 64 bits") }
    return number
  }
}
