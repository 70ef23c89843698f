/// A regular expression of a configuration or of a rule, matched against names of layers and tensors. How long that takes is bounded by
/// the lengths of both, whatever the expression is.
public struct NamePattern: Sendable {
  /// As written.
  public let source: String
  private let expression: Expression
  /// The only name that matches, if the expression is such a name.
  private let literal: [UInt8]?

  /// Length of the longest pattern that is accepted, in bytes.
  private static let maximumLength = 1000

  /// Nil if this is not a regular expression, uses what takes unbounded time (a reference to a group), or is very long.
  public init?(_ source: String) {
    guard source.utf8.count <= NamePattern.maximumLength, let expression = try? ExpressionParser.parse(source) else { return nil }
    self.source = source
    self.expression = expression
    literal = NamePattern.literal(source)
  }

  /// Whether the pattern matches at the beginning of a name, as Python's `re.match` does.
  public func matches(_ name: String) -> Bool {
    if let literal { return name.utf8.elementsEqual(literal) }
    let text = ScalarText(Array(name.utf8))
    var scratch = Expression.Scratch(of: expression, 0..<text.scalars.count)
    return expression.match(text, at: 0, &scratch) != nil
  }

  /// Whether the pattern matches anywhere in a name, as Python's `re.search` does.
  public func isFound(in name: String) -> Bool {
    if let literal { return name.utf8.elementsEqual(literal) }
    let text = ScalarText(Array(name.utf8))
    let count = text.scalars.count
    var scratch = Expression.Scratch(of: expression, 0..<count)
    return (0...count).contains { expression.match(text, at: $0, &scratch) != nil }
  }

  /// How many patterns a configuration may have that are not names: each is compared with the name of each layer.
  public static let maximumCount = 1000

  /// - Throws: `Failure` `limit.patterns` if a configuration has too many patterns that are not names.
  public static func check(_ patterns: [NamePattern]) throws(Failure) {
    let count = patterns.count { $0.literal == nil }
    guard count <= maximumCount else {
      throw Failure(
        .data, "limit.patterns", "the configuration has \(count) patterns for names of layers; at most \(maximumCount) are supported",
        remedy: "Write out the names of the layers, each as ^name$.")
    }
  }

  /// A pattern that matches only this name.
  public static func exactly(_ name: String) -> String { "^" + quoted(name) + "$" }

  private static let special = "\\.+*?()[]{}|^$"

  /// The part of a pattern that matches exactly these characters.
  public static func quoted(_ text: String) -> String { text.map { special.contains($0) ? "\\\($0)" : String($0) }.joined() }

  /// What `exactly` was given: configurations have thousands of such patterns.
  private static func literal(_ source: String) -> [UInt8]? {
    guard source.count >= 2, source.hasPrefix("^"), source.hasSuffix("$") else { return nil }
    var name = ""
    var isEscaped = false
    for character in source.dropFirst().dropLast() {
      if isEscaped {
        guard special.contains(character) else { return nil }
        name.append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else {
        guard !special.contains(character) else { return nil }
        name.append(character)
      }
    }
    return isEscaped ? nil : Array(name.utf8)
  }
}
