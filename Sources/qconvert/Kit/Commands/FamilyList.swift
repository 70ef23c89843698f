import QuantCore

/// What `plugins --families` shows: for each family or tower, the architectures that it answers to in every format.
struct FamilyList {
  private let kind: String
  private let families: [any ModelFamily.Type]
  /// The namings of formats, each with the first format that uses it; folders, which use the model's own names, come first.
  private let columns: [(format: String, naming: Naming)]

  /// - Parameters:
  ///   - kind: what they are called in the head of the table.
  ///   - families: families or towers.
  init(_ kind: String, _ families: [any ModelFamily.Type], _ registry: Registry) {
    (self.kind, self.families) = (kind, families)
    var columns: [(format: String, naming: Naming)] = []
    let formats = registry.readers.map { (format: $0.id, naming: $0.naming) }
    let folders = registry.formats.filter { $0.isFolder }.map { (format: $0.id, naming: $0.naming) }
    for format in folders.reversed() + formats where !columns.contains(where: { $0.naming == format.naming }) { columns.append(format) }
    self.columns = columns.filter { column in families.contains { !$0.architectures(column.naming).isEmpty } }
  }

  func text(style: Style) -> String {
    var table = Table([(kind, .left)] + columns.map { ($0.format.uppercased(), .left) } + [("SUMMARY", .left)])
    for family in families {
      table.add([family.id] + columns.map { FamilyList.short(family.architectures($0.naming)) } + [family.summary])
    }
    return table.text(style: style)
  }

  /// The names in a column of a terminal: the first and how many follow, if they are too long together.
  private static func short(_ names: [String]) -> String {
    let all = names.joined(separator: " ")
    guard all.count > 64, let first = names.first else { return all }
    return "\(first) and \(names.count - 1) more"
  }

  var document: JSON {
    .array(
      families.map { family in
        let architectures = columns.map { JSON.Member($0.format, JSONOutput.strings(family.architectures($0.naming))) }
        return .object([
          .init("id", .string(family.id)), .init("summary", .string(family.summary)), .init("reference", .string(family.reference)),
          .init("architectures", .object(architectures)),
        ])
      })
  }
}
