import QuantCore

extension JSON {
  /// The value as YAML in block style, ended by a line feed. A text that every YAML parser reads as itself is not quoted.
  var yaml: String { JSON.block(self, indentation: 0).joined(separator: "\n") + "\n" }

  private static func block(_ value: JSON, indentation: Int) -> [String] {
    let spaces = String(repeating: " ", count: indentation)
    switch value {
    case .object(let members) where !members.isEmpty:
      return members.flatMap { member -> [String] in
        let key = spaces + scalar(.string(member.key)) + ":"
        return isBlock(member.value) ? [key] + block(member.value, indentation: indentation + 2) : [key + " " + scalar(member.value)]
      }
    case .array(let elements) where !elements.isEmpty:
      return elements.flatMap { element -> [String] in
        guard isBlock(element) else { return [spaces + "- " + scalar(element)] }
        // The first line of the element follows the dash.
        var lines = block(element, indentation: indentation + 2)
        lines[0] = spaces + "- " + lines[0].dropFirst(indentation + 2)
        return lines
      }
    default: return [spaces + scalar(value)]
    }
  }

  private static func isBlock(_ value: JSON) -> Bool {
    switch value {
    case .object(let members): !members.isEmpty
    case .array(let elements): !elements.isEmpty
    default: false
    }
  }

  /// JSON is valid YAML, so values are quoted and numbers printed as in JSON.
  private static func scalar(_ value: JSON) -> String {
    guard case .string(let text) = value, isPlain(text) else { return value.text() }
    return text
  }

  /// Words that YAML 1.1 or 1.2 does not read as text.
  private static let reserved: Set<String> = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"]

  private static func isPlain(_ text: String) -> Bool {
    guard let first = text.unicodeScalars.first, first.isASCII, first.properties.isAlphabetic || first == "/" else { return false }
    let others = "0123456789/._-".unicodeScalars
    return !reserved.contains(text.lowercased())
      && text.unicodeScalars.allSatisfy { $0.isASCII && $0.properties.isAlphabetic || others.contains($0) }
  }
}
