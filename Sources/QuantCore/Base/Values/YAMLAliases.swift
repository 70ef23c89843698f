/// Aliases of YAML (`*name`) stand for whole tables. A few hundred bytes of nested ones stand for billions of values, so they are counted
/// before the text is parsed.
public enum YAMLAliases {
  /// With this many, a text stands for at most some thousand times as much.
  public static let maximumCount = 20

  /// Whether a text has more than `maximumCount`, as far as can be told without parsing: a star where a value can begin, and a name.
  public static func isExcessive(_ text: String) -> Bool {
    var count = 0
    var before: Unicode.Scalar = " "
    var star = false
    for scalar in text.unicodeScalars {
      if star, scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_" || scalar == "-" { count += 1 }
      star = scalar == "*" && " \t\n\r[{,:".unicodeScalars.contains(before)
      before = scalar
    }
    return count > maximumCount
  }
}
