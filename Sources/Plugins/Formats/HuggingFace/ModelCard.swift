import QuantCore
import Yams

/// The front matter of a folder's `README.md`: licence, tags, languages, base models.
enum ModelCard {
  /// Cards are a few kilobytes; larger ones embed pictures and are skipped.
  private static let maximumBytes = 1 << 20
  /// The parser recurses once per level, so depth must be bounded before it starts.
  private static let maximumFrontMatter = 1 << 16
  private static let maximumBrackets = 512
  private static let maximumNestingPerLine = 8

  /// Scalars and lists of the front matter, under `card.KEY`. Empty if there is no card or it is malformed: what a person
  /// wrote about a model never prevents its conversion.
  static func keyValues(folder: String) -> KeyValues {
    var values = KeyValues()
    guard let bytes = try? Files.read(Files.join(folder, "README.md"), maximumBytes: maximumBytes) else { return values }
    let lines = String(decoding: bytes, as: UTF8.self).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    guard lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---") else { return values }
    // YAML does not allow tabs as indentation, but published cards have them.
    let text = lastOfEach(lines[1..<end]).joined(separator: "\n").replacing("\t", with: "  ")
    guard isShallow(text), !YAMLAliases.isExcessive(text), let node = try? compose(yaml: text),
      let mapping = node.mapping
    else { return values }
    for (key, value) in mapping {
      // Scalars are read as they are spelt: `no` is a language here, not a truth value.
      guard let name = key.scalar?.string else { continue }
      if value.scalar != nil {
        values["card." + name] = spelling(of: value).map { .string($0) }
      } else if let sequence = value.sequence {
        values["card." + name] = .strings(sequence.compactMap { spelling(of: $0) })
      }
    }
    return values
  }

  /// A scalar as it is spelt; nil for one that says nothing.
  private static func spelling(of node: Node) -> String? {
    guard let scalar = node.scalar else { return nil }
    let isNull = scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    return isNull ? nil : scalar.string
  }

  /// The lines without all but the last of several entries with one key, as Python reads them; YAML has no such mappings.
  private static func lastOfEach(_ lines: ArraySlice<Substring>) -> [Substring] {
    var entries: [(key: Substring, lines: [Substring])] = []
    for line in lines {
      let key = line.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
      if !key.isEmpty, line.dropFirst(key.count).first == ":", key.first != "-" {
        entries.removeAll { $0.key == key }
        entries.append((key, [line]))
      } else if entries.isEmpty {
        entries.append(("", [line]))
      } else {
        entries[entries.count - 1].lines.append(line)
      }
    }
    return entries.flatMap(\.lines)
  }

  /// Whether nesting is bounded: brackets nest anywhere, dashes and question marks within a line, the rest by indentation.
  private static func isShallow(_ text: String) -> Bool {
    guard text.utf8.count <= maximumFrontMatter, text.count(where: { $0 == "[" || $0 == "{" }) <= maximumBrackets else { return false }
    return text.split(separator: "\n").allSatisfy { line in
      line.split(separator: " ").prefix { $0 == "-" || $0 == "?" }.count <= maximumNestingPerLine
    }
  }
}
