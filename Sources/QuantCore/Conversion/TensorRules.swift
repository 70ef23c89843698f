import Glibc

/// Rules of the form `PATTERN=SCHEME`: a glob, or `re:` and a regular expression that is searched for. A pattern is held
/// against the target's name and the source's; the last rule that matches a tensor wins.
struct TensorRules {
  struct Rule {
    let pattern: String
    let scheme: String
    let matches: (String) -> Bool
  }

  private let rules: [Rule]

  /// - Throws: `Failure` of kind usage for a rule that is not of this form.
  init(_ typed: [String]) throws {
    rules = try typed.map { text in
      guard let equals = text.lastIndex(of: "="), equals != text.startIndex else {
        throw Failure(
          .usage, "rule.form", "tensor rule '\(text)' has no '='", remedy: "Write 'PATTERN=SCHEME', such as '*.ffn_down.*=q6_k'.")
      }
      let pattern = String(text[..<equals])
      let scheme = String(text[text.index(after: equals)...])
      if pattern.hasPrefix("re:") {
        let source = String(pattern.dropFirst(3))
        guard let regex = try? Regex(source) else {
          throw Failure(.usage, "rule.regex", "'\(source)' is not a regular expression", remedy: "Check its brackets.")
        }
        return Rule(pattern: pattern, scheme: scheme) { (try? regex.firstMatch(in: $0)) != nil }
      }
      return Rule(pattern: pattern, scheme: scheme) { fnmatch(pattern, $0, 0) == 0 }
    }
  }

  /// The scheme name for each tensor, or nil where no rule matches.
  /// - Throws: `Failure` of kind usage for a pattern that matches no tensor: it is most likely a typing error.
  func apply(to names: [(target: String, source: String)]) throws -> [String?] {
    var result = [String?](repeating: nil, count: names.count)
    for rule in rules {
      var matched = false
      for (index, name) in names.enumerated() where rule.matches(name.target) || rule.matches(name.source) {
        result[index] = rule.scheme
        matched = true
      }
      guard matched else {
        let example = names.first { $0.target.contains("down") } ?? names.first
        throw Failure(
          .usage, "rule.no-match", "tensor rule '\(rule.pattern)' matches no tensor",
          remedy: "Names look like '\(example?.target ?? "")'; 'qconvert plan' lists them.")
      }
    }
    return result
  }
}
