/// Anything that can be added to qconvert without touching another module: a method, a set of schemes, a preset, a packing, a
/// format, a family, a tower, an importance format or a client. Write one type that conforms to one of the nine axes and list it in `main`.
public protocol Plugin: Sendable {
  /// Unique within its axis; what people type (`awq`, `gguf`, `llama`).
  static var id: String { get }
  /// One sentence for lists.
  static var summary: String { get }
  /// Paper or specification.
  static var reference: String { get }
  /// The axis that the plug-in belongs to. The protocol of each axis implements this.
  static var axis: PluginAxis { get }
}

/// The kinds of plug-ins, in the order of lists.
public enum PluginAxis: String, Sendable, CaseIterable {
  case method, scheme, preset, packing, format, family, tower, importance, client
}
