/// One option of a method: `awq:clip=off`.
public struct OptionDeclaration: Sendable, Equatable {
  /// The text before the `=`.
  public var name: String
  /// A few words for lists.
  public var summary: String
  /// As one would type it.
  public var defaultValue: String
  public init(name: String, summary: String, defaultValue: String) {
    self.name = name
    self.summary = summary
    self.defaultValue = defaultValue
  }
}

/// The option values of a method as typed, checked against its declarations.
public struct OptionValues: Sendable, Equatable {
  private var values: [String: String]

  /// - Throws: `Failure` of kind usage for a name that is not declared.
  public init(_ given: [String: String], declarations: [OptionDeclaration], plugin: String) throws(Failure) {
    values = [:]
    for declaration in declarations { values[declaration.name] = declaration.defaultValue }
    for (name, value) in given.sorted(by: { $0.key < $1.key }) {
      guard values[name] != nil else {
        let known = declarations.map(\.name).joined(separator: ", ")
        throw Failure(
          .usage, "option.unknown", "plug-in '\(plugin)' has no option '\(name)'",
          remedy: known.isEmpty ? "Leave it out; the plug-in has no options." : "Give one of its options: \(known).")
      }
      values[name] = value
    }
  }

  /// The value as typed, or an empty string for an undeclared name.
  public func string(_ name: String) -> String { values[name] ?? "" }

  /// An integer within `range`.
  public func integer(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int {
    guard let value = Int(string(name)), range.contains(value) else { throw bad(name, "a whole number in \(range)") }
    return value
  }

  /// A number within `range`.
  public func number(_ name: String, in range: ClosedRange<Double>) throws(Failure) -> Double {
    guard let value = Double(string(name)), range.contains(value) else { throw bad(name, "a number in \(range)") }
    return value
  }

  /// `on` or `off` (also true, false, 1, 0).
  public func flag(_ name: String) throws(Failure) -> Bool {
    switch string(name) {
    case "on", "true", "1": return true
    case "off", "false", "0": return false
    default: throw bad(name, "on or off")
    }
  }

  /// One of an option's words.
  public func choice(_ name: String, of words: [String]) throws(Failure) -> String {
    let value = string(name)
    guard words.contains(value) else { throw bad(name, "one of " + words.joined(separator: ", ")) }
    return value
  }

  private func bad(_ name: String, _ expected: String) -> Failure {
    Failure(.usage, "option.value", "option '\(name)' cannot be '\(string(name))'", remedy: "Give \(expected).")
  }
}
