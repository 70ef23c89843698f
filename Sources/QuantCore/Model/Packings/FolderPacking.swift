/// A packing of folders whose readers are told by the configuration (`quantization_config`) which layers are quantized, and how.
///
/// Implement `configuration(modules:unquantized:)`; the rest has answers for a packing that describes itself alone, in
/// `config.json` alone. The host asks once for each `configurationKind` among the tensors of an output, with all layers of that
/// kind, and refuses an output in which two kinds answer.
public protocol FolderPacking: Packing {
  /// What `configuration` describes; packings with the same answer can be mixed in one folder. Nothing else can be.
  var configurationKind: String { get }
  /// The checkpoint-wide configuration that readers of this packing need, or nil where there is nothing to say.
  /// - Parameters:
  ///   - modules: the layers that packings of this `configurationKind` hold.
  ///   - unquantized: names of linear layers that were left alone.
  /// - Throws: `Failure` where one configuration cannot describe all of them.
  func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON?
  /// A configuration of this packing that says, too, how keys and values are rounded in a cache.
  func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON
  /// Files beside the configuration in which readers of this packing look for what it says.
  func files(configuration: JSON) -> [(name: String, json: JSON)]
}

extension FolderPacking {
  public static var formats: [String] { [] }
  public var configurationKind: String { Self.id }
  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON { configuration }
  public func files(configuration: JSON) -> [(name: String, json: JSON)] { [] }
}
