/// A packing of folders whose configuration (`quantization_config`) tells clients which layers are quantized, and how.
///
/// Implement `configuration(modules:unquantized:)`; the defaults suit a packing that describes only itself, and only in `config.json`.
/// The host calls it once for each `configurationKind` among the tensors of an output, with all layers of that kind, and refuses an
/// output in which two kinds return a configuration.
public protocol FolderPacking: Packing {
  /// The kind of its configuration. Packings of the same kind can be mixed in one folder, others cannot.
  var configurationKind: String { get }
  /// The configuration of the whole checkpoint that clients of this packing need, or nil if they need none.
  /// - Parameters:
  ///   - modules: the layers that packings of this `configurationKind` hold.
  ///   - unquantized: names of linear layers that are not quantized.
  /// - Throws: `Failure` if one configuration cannot describe all of them.
  func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON?
  /// A configuration of this packing, extended by how cached keys and values are rounded.
  func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON
  /// Further keys of the model's configuration under which clients of this packing look for it.
  var furtherConfigurationKeys: [String] { get }
  /// The stack in which clients of this packing look for a stored tensor, and its index there; nil: they look for the tensor itself.
  /// Called for all tensors of the folder. The members of a stack must have the same shape and type.
  /// - Parameters:
  ///   - name: of the stored tensor (`model.layers.0.mlp.experts.3.up_proj.weight`).
  ///   - configuration: of the model, as it is written.
  /// - Throws: `Failure` if clients cannot load tensors of this packing for this model.
  func stack(of name: String, configuration: JSON) throws -> (name: String, index: Int)?
  /// Further files in which clients of this packing look for the configuration.
  func files(configuration: JSON) -> [(name: String, json: JSON)]
}

extension FolderPacking {
  public static var formats: [String] { [] }
  public var configurationKind: String { Self.id }
  public var furtherConfigurationKeys: [String] { [] }
  public func stack(of name: String, configuration: JSON) throws -> (name: String, index: Int)? { nil }
  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON { configuration }
  public func files(configuration: JSON) -> [(name: String, json: JSON)] { [] }
}
