import QuantCore

/// A value as the user wrote it, in an option or in a recipe.
struct Entry: Sendable {
  indirect enum Content: Sendable {
    case text(String)
    case list([Entry])
    case table([(key: String, value: Entry)])
  }

  let content: Content
  /// What messages call it: `--samples`, or the line and key of a recipe.
  let subject: String

  init(_ content: Content, subject: String) {
    self.content = content
    self.subject = subject
  }

  var text: String? { if case .text(let text) = content { text } else { nil } }

  /// The elements of a list; a single value is a list of one.
  var elements: [Entry] { if case .list(let elements) = content { elements } else { [self] } }

  /// Key and value of a table with one row.
  var pair: (key: String, value: Entry)? {
    if case .table(let rows) = content, rows.count == 1 { rows[0] } else { nil }
  }

  /// A failure that says what was written and what is expected, such as "a whole number".
  func unexpected(_ expected: String) -> Failure {
    let found =
      switch content {
      case .text(let text): "'\(text)'"
      case .list: "a list"
      case .table: "a table of keys"
      }
    return Failure(.usage, "usage.value", "\(subject) is \(found)", remedy: "Give \(expected).")
  }
}
