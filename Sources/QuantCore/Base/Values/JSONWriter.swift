extension JSON {
  /// The value as text: keys in their order, numbers in their spelling, strings with only the escapes that JSON requires
  /// (and DEL). The same value always gives the same bytes.
  /// - Parameter pretty: one element per line, indented by two spaces, as Python's `indent=2` does.
  public func text(pretty: Bool = false) -> String {
    var out: [UInt8] = []
    write(&out, indentation: pretty ? 0 : nil)
    return String(decoding: out, as: UTF8.self)
  }

  private func write(_ out: inout [UInt8], indentation: Int?) {
    switch self {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
    case .number(let spelling): out.append(contentsOf: spelling.utf8)
    case .string(let value): JSON.quote(value, &out)
    case .array(let elements):
      JSON.list(elements, "[", "]", &out, indentation) { element, inner, out in element.write(&out, indentation: inner) }
    case .object(let members):
      JSON.list(members, "{", "}", &out, indentation) { member, inner, out in
        JSON.quote(member.key, &out)
        out.append(contentsOf: (inner == nil ? ":" : ": ").utf8)
        member.value.write(&out, indentation: inner)
      }
    }
  }

  private static func list<Element>(
    _ elements: [Element], _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ out: inout [UInt8], _ indentation: Int?,
    _ write: (Element, Int?, inout [UInt8]) -> Void
  ) {
    let inner = indentation.map { $0 + 2 }
    out.append(UInt8(ascii: open))
    for (index, element) in elements.enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      newLine(inner, &out)
      write(element, inner, &out)
    }
    if !elements.isEmpty { newLine(indentation, &out) }
    out.append(UInt8(ascii: close))
  }

  private static func newLine(_ indentation: Int?, _ out: inout [UInt8]) {
    guard let indentation else { return }
    out.append(0x0a)
    out.append(contentsOf: repeatElement(0x20, count: indentation))
  }

  private static func quote(_ text: String, _ out: inout [UInt8]) {
    let digits = Array("0123456789abcdef".utf8)
    out.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(contentsOf: [UInt8(ascii: "\\"), byte])
      case 0x0a: out.append(contentsOf: "\\n".utf8)
      case 0x0d: out.append(contentsOf: "\\r".utf8)
      case 0x09: out.append(contentsOf: "\\t".utf8)
      case 0x00..<0x20, 0x7f:
        out.append(contentsOf: "\\u00".utf8)
        out.append(contentsOf: [digits[Int(byte >> 4)], digits[Int(byte & 15)]])
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}
