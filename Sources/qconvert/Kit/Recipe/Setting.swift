import QuantCore

/// One thing that can be said about a conversion: its key in a recipe, its option on the command line, and how its value is
/// written in both.
struct Setting: Sendable {
  /// Where it stands in a recipe; a dot separates a section from a key in it.
  let key: String
  /// What it is called on the command line.
  let option: String
  /// Whether the bytes of the output depend on it, so that it is recorded there. Paths are not: they belong to one machine.
  let isRecorded: Bool
  /// What was typed, or nil.
  let typed: @Sendable (ConversionOptions) -> Entry.Content?
  /// - Throws: `Failure` of kind usage where the entry is no value of this setting.
  let set: @Sendable (Entry, inout Recipe) throws -> Void
  /// The value as a recipe holds it; nil where there is none.
  let value: @Sendable (Recipe) -> JSON?

  init<Value, Option: TypedOption & SendableMetatype>(
    _ key: String, _ option: String, _ typed: any KeyPath<ConversionOptions, Option> & Sendable,
    _ place: any WritableKeyPath<Recipe, Value> & Sendable, _ form: ValueForm<Value>, isRecorded: Bool = true
  ) {
    self.key = key
    self.option = option
    self.isRecorded = isRecorded
    self.typed = { $0[keyPath: typed].content }
    set = { entry, recipe in recipe[keyPath: place] = try form.read(entry) }
    value = { recipe in form.write(recipe[keyPath: place]) }
  }
}

/// A value as somebody wrote it, in an option or in a recipe.
struct Entry: Sendable {
  indirect enum Content: Sendable {
    case text(String)
    case list([Entry])
    case table([(key: String, value: Entry)])
  }

  let content: Content
  /// What messages call it: `--samples`, or a line of a recipe and its key.
  let subject: String

  init(_ content: Content, subject: String) {
    self.content = content
    self.subject = subject
  }

  var text: String? { if case .text(let text) = content { text } else { nil } }

  /// The elements of a list; a value alone is a list of one.
  var elements: [Entry] { if case .list(let elements) = content { elements } else { [self] } }

  /// Key and value of a table with one row.
  var pair: (key: String, value: Entry)? {
    if case .table(let rows) = content, rows.count == 1 { rows[0] } else { nil }
  }

  /// A failure that says what was written and what is expected: "a whole number".
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

/// The type of a property that an option of the command line is kept in.
protocol TypedOption {
  /// What was typed, or nil.
  var content: Entry.Content? { get }
}

/// A value of an option whose description is how it is typed.
protocol TypedValue {
  var typedText: String { get }
}

extension String: TypedValue { var typedText: String { self } }
extension Int: TypedValue { var typedText: String { description } }
extension UInt64: TypedValue { var typedText: String { description } }
extension Bool: TypedValue { var typedText: String { description } }
extension BOSChoice: TypedValue { var typedText: String { rawValue } }
extension StreamChoice: TypedValue { var typedText: String { rawValue } }
extension ProductsChoice: TypedValue { var typedText: String { rawValue } }
extension SearchChoice: TypedValue { var typedText: String { rawValue } }

extension Optional: TypedOption where Wrapped: TypedValue {
  var content: Entry.Content? { map { .text($0.typedText) } }
}

extension [String]: TypedOption {
  var content: Entry.Content? { isEmpty ? nil : .list(map { Entry(.text($0), subject: "'\($0)'") }) }
}
