import QuantPlatform

/// Rules of the form `PATTERN=SCHEME`: a glob, or `re:` and a regular expression that is searched for. A pattern is matched
/// against the name in the output and the name in the source; the last rule that matches a tensor wins.
struct TensorRules {
  /// Which of the rules that match a tensor decides.
  enum Precedence {
    case first, last
  }

  struct Rule {
    let pattern: String
    let scheme: String
    let matches: (String) -> Bool
  }

  private let rules: [Rule]
  private let precedence: Precedence

  /// - Throws: `Failure` of kind usage for a rule that is not of this form.
  init(_ typed: [String]) throws {
    precedence = .last
    rules = try typed.map { text in
      let (pattern, scheme) = try TensorRules.halves(text, at: text.lastIndex(of: "="))
      guard pattern.hasPrefix("re:") else { return Rule(pattern: pattern, scheme: scheme) { fnmatch(pattern, $0, 0) == 0 } }
      return try TensorRules.search(String(pattern.dropFirst(3)), named: pattern, scheme)
    }
  }

  /// Rules as llama-quantize reads them (`--tensor-type`): the text before the first `=` is a regular expression, converted to
  /// lower case, that is searched for; the first rule that matches wins.
  /// - Throws: `Failure` of kind usage for a rule that is not of this form.
  init(types typed: [String]) throws {
    precedence = .first
    rules = try typed.map { text in
      let (pattern, scheme) = try TensorRules.halves(text, at: text.firstIndex(of: "="))
      return try TensorRules.search(pattern.lowercased(), named: pattern, scheme)
    }
  }

  private static func halves(_ text: String, at equals: String.Index?) throws(Failure) -> (pattern: String, scheme: String) {
    guard let equals, equals != text.startIndex else {
      throw Failure(
        .usage, "rule.form", "tensor rule '\(text)' has no '='", remedy: "Write 'PATTERN=SCHEME', such as '*.ffn_down.*=q6_k'.")
    }
    return (String(text[..<equals]), text[text.index(after: equals)...].lowercased())
  }

  private static func search(_ source: String, named pattern: String, _ scheme: String)
    throws(Failure) -> Rule
  {
    guard let expression = NamePattern(source) else {
      throw Failure(
        .usage, "rule.regex", "'\(source)' is not a supported regular expression",
        remedy: "Check its brackets.")
    }
    return Rule(pattern: pattern, scheme: scheme) { expression.isFound(in: $0) }
  }

  /// The scheme name for each tensor, or nil if no rule matches.
  /// - Throws: `Failure` of kind usage for a pattern that matches no tensor: it is most likely a typing error.
  func apply(to names: [(target: String, source: String)]) throws -> [String?] {
    var result = [String?](repeating: nil, count: names.count)
    for rule in rules {
      var matched = false
      for (index, name) in names.enumerated() where rule.matches(name.target) || rule.matches(name.source) {
        if precedence == .last || result[index] == nil { result[index] = rule.scheme }
        matched = true
      }
      guard matched else {
        let example = names.first { $0.target.contains("down") } ?? names.first
        throw Failure(
          .usage, "rule.no-match", "tensor rule '\(rule.pattern)' matches no tensor",
          remedy: "Use names such as '\(example?.target ?? "")'; \(command: "plan") lists them.")
      }
    }
    return result
  }
}
