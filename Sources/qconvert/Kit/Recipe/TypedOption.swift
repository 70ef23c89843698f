/// The type of a property that holds a command-line option.
protocol TypedOption {
  /// What was typed, or nil.
  var content: Entry.Content? { get }
}

/// A value of an option that knows how it is typed.
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
extension QualityChoice: TypedValue { var typedText: String { rawValue } }
extension SearchChoice: TypedValue { var typedText: String { rawValue } }
extension PredictionsChoice: TypedValue { var typedText: String { rawValue } }

extension Optional: TypedOption where Wrapped: TypedValue {
  var content: Entry.Content? { map { .text($0.typedText) } }
}

extension [String]: TypedOption {
  var content: Entry.Content? { isEmpty ? nil : .list(map { Entry(.text($0), subject: "'\($0)'") }) }
}
