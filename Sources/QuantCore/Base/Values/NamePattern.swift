/// A regular expression of a configuration that is matched at the beginning of a name, as Python's `re.match` does.
public struct NamePattern {
  /// As written.
  public let source: String
  private let regex: Regex<AnyRegexOutput>

  /// Length of the longest pattern that is accepted, in bytes.
  private static let maximumLength = 1000

  /// Nil if this is not a regular expression, or is very long.
  public init?(_ source: String) {
    guard source.utf8.count <= NamePattern.maximumLength, let regex = try? Regex(source) else { return nil }
    self.source = source
    self.regex = regex
  }

  public func matches(_ name: String) -> Bool { (try? regex.prefixMatch(in: name)) != nil }

  /// A pattern that matches only this name.
  public static func exactly(_ name: String) -> String {
    "^" + quoted(name) + "$"
  }

  /// The part of a pattern that matches exactly these characters.
  public static func quoted(_ text: String) -> String {
    text.map { "\\.+*?()[]{}|^$".contains($0) ? "\\\($0)" : String($0) }.joined()
  }
}
