/// A regular expression of a configuration that is held against the beginning of a name, as Python's `re.match` does.
public struct NamePattern {
  /// As written.
  public let source: String
  private let regex: Regex<AnyRegexOutput>

  /// Longest pattern that is looked at.
  private static let maximumLength = 1000

  /// Nil where this is no regular expression, or a very long one.
  public init?(_ source: String) {
    guard source.utf8.count <= NamePattern.maximumLength, let regex = try? Regex(source) else { return nil }
    self.source = source
    self.regex = regex
  }

  public func matches(_ name: String) -> Bool { (try? regex.prefixMatch(in: name)) != nil }

  /// A pattern that matches this name alone.
  public static func exactly(_ name: String) -> String {
    "^" + quoted(name) + "$"
  }

  /// The part of a pattern that stands for these characters and no others.
  public static func quoted(_ text: String) -> String {
    text.map { "\\.+*?()[]{}|^$".contains($0) ? "\\\($0)" : String($0) }.joined()
  }
}
