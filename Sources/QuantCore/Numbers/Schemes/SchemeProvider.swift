/// A set of schemes that share a rule, found by name.
public protocol SchemeProvider: Plugin {
  /// Names to show in lists, with `N` for any number (`int4-gN`).
  static var schemeNames: [String] { get }
  /// The scheme with exactly this name, or nil if this set has none.
  /// - Parameter modelType: the element type of the source model; some projects store scales in it.
  static func scheme(named name: String, modelType: ElementType) -> (any Scheme)?
}

extension SchemeProvider { public static var axis: PluginAxis { .scheme } }
