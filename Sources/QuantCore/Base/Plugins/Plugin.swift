/// Anything that can be added to qconvert without touching another module: a method, a set of schemes, a packing, a
/// format, or a model family. Write one type that conforms to one of the five axes and list it in `main`.
public protocol Plugin: Sendable {
  /// Unique within its axis; what people type (`awq`, `gguf`, `llama`).
  static var id: String { get }
  /// One sentence for lists.
  static var summary: String { get }
  /// Paper or specification.
  static var reference: String { get }
  /// What it is one of. Every axis has a protocol, which answers this.
  static var axis: PluginAxis { get }
}

/// The kinds of plug-ins, in the order of lists.
public enum PluginAxis: String, Sendable, CaseIterable {
  case method, scheme, preset, packing, format, family, importance, client
}
