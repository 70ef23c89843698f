import QuantCore
import Yams

/// Recipes in YAML: the keys of `Setting.all`, in sections.
enum RecipeFile {
  /// Recipes have a few lines; a larger file is not one.
  private static let maximumBytes = 1 << 20
  /// The parser recurses once per level.
  private static let maximumBrackets = 1000

  /// Adds the settings of a recipe file to a recipe.
  /// - Throws: `Failure` of kind config that names the line of an unknown key, or of a value of the wrong kind.
  static func read(_ path: String, into recipe: inout Recipe) throws {
    do {
      guard let text = String(validating: try Files.read(path, maximumBytes: maximumBytes), as: UTF8.self) else {
        throw Failure(.config, "recipe.malformed", "is not UTF-8 text", remedy: "Check that this is a recipe.")
      }
      try read(text: text, into: &recipe)
    } catch let failure as Failure {
      throw failure.inFile(path)
    }
  }

  static func read(text: String, into recipe: inout Recipe) throws {
    guard let root = try node(text) else { return }
    guard case .mapping(let mapping) = root else { throw malformed("a recipe must be a table of keys", at: root) }
    try read(mapping, section: nil, into: &recipe)
  }

  /// The parsed text; nil for one without content.
  private static func node(_ text: String) throws(Failure) -> Node? {
    guard text.count(where: { "[{".contains($0) }) <= maximumBrackets else {
      throw Failure(.config, "recipe.malformed", "has more than \(maximumBrackets) brackets", remedy: "Check that this is a recipe.")
    }
    guard !YAMLAliases.isExcessive(text) else {
      throw Failure(
        .config, "recipe.malformed", "has more than \(YAMLAliases.maximumCount) aliases (*name)",
        remedy: "Write out what they stand for.")
    }
    do {
      return try compose(yaml: text)
    } catch let error as YamlError {
      throw failure(error)
    } catch {
      throw Failure(.config, "recipe.malformed", "is not YAML", remedy: "Check that this is a recipe.")
    }
  }

  private static func failure(_ error: YamlError) -> Failure {
    func malformed(_ problem: String, line: Int?) -> Failure {
      Failure(
        .config, "recipe.malformed", (line.map { "line \($0): " } ?? "") + "is not YAML: \(problem)",
        remedy: "Check indentation, quotes and colons.")
    }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      return malformed(problem, line: mark.line)
    case .duplicatedKeysInMapping(let keys, let context):
      return Failure(
        .config, "recipe.key-twice", "line \(context.mark.line): '\(keys.sorted().joined(separator: "', '"))' is given twice",
        remedy: "Give it once.")
    default: return malformed("it is not UTF-8 text", line: nil)
    }
  }

  private static func read(_ mapping: Node.Mapping, section: String?, into recipe: inout Recipe) throws {
    for (keyNode, value) in mapping {
      guard let name = keyNode.scalar?.string else { throw malformed("a key must be a word", at: keyNode) }
      let key = section.map { $0 + "." + name } ?? name
      if let setting = Setting.all.first(where: { $0.key == key }) {
        // An empty value counts as absent: the line is there to be filled in.
        if let entry = entry(value, key: key) { try set(setting, entry, &recipe) }
      } else if Setting.all.contains(where: { $0.key.hasPrefix(key + ".") }) {
        if isEmpty(value) { continue }
        guard case .mapping(let inner) = value else { throw malformed("'\(key)' must be a table of keys", at: value) }
        try read(inner, section: key, into: &recipe)
      } else {
        throw unknown(name, section: section, line: line(keyNode))
      }
    }
  }

  private static func set(_ setting: Setting, _ entry: Entry, _ recipe: inout Recipe) throws {
    do {
      try setting.set(entry, &recipe)
    } catch var failure as Failure {
      failure.kind = .config
      // Errors of forms that are shared with the command line quote only the text.
      if !failure.message.hasPrefix("line ") { failure.message = "\(entry.subject): \(failure.message)" }
      throw failure
    }
  }

  private static func unknown(_ name: String, section: String?, line: String) -> Failure {
    let prefix = section.map { $0 + "." } ?? ""
    var known: [String] = []
    for setting in Setting.all where setting.key.hasPrefix(prefix) {
      let next = String(setting.key.dropFirst(prefix.count).prefix { $0 != "." })
      if known.last != next { known.append(next) }
    }
    let near = Registry.nearest(to: name, among: known)
    return Failure(
      .config, "recipe.unknown-key", "\(line): unknown key '\(prefix)\(name)'",
      remedy: near.isEmpty ? "Known: \(known.joined(separator: ", "))." : "Did you mean \(near.joined(separator: " or "))?")
  }

  // MARK: Nodes

  private static func entry(_ node: Node, key: String) -> Entry? {
    if isEmpty(node) { return nil }
    let subject = "\(line(node)): '\(key)'"
    switch node {
    case .scalar(let scalar): return Entry(.text(scalar.string), subject: subject)
    case .sequence(let sequence): return Entry(.list(sequence.compactMap { entry($0, key: key) }), subject: subject)
    case .mapping(let mapping):
      // A key without a value becomes a table without rows: `awq:` is a method without options.
      return Entry(
        .table(
          mapping.map { row in
            let name = row.key.scalar?.string ?? ""
            return (key: name, value: entry(row.value, key: key + "." + name) ?? Entry(.table([]), subject: subject))
          }), subject: subject)
    case .alias: return Entry(.list([]), subject: subject)
    }
  }

  private static func isEmpty(_ node: Node) -> Bool { node.scalar.map { $0.string.isEmpty && $0.style == .plain } ?? false }

  private static func line(_ node: Node) -> String { "line \(node.mark?.line ?? 0)" }

  private static func malformed(_ what: String, at node: Node) -> Failure {
    Failure(.config, "recipe.malformed", "\(line(node)): \(what)", remedy: "See Docs/recipes.md for an example.")
  }
}
