/// Which bytes hold the codes and parameters of a scheme.
///
/// A packing turns quantized rows into the tensors of a container and back, and says exactly which grids it holds.
/// It knows no file format: a format asks for the stored tensors and places them.
public protocol Packing: Plugin {
  /// Ids of the formats whose readers know it. Where several packings hold a grid, the one that is registered first is taken.
  static var formats: [String] { get }
  /// Whether readers of a format know it: one of `formats`, unless the packing is known to all.
  static func isKnown(toReadersOf format: String) -> Bool
  init()
  /// Whether every code and parameter of this grid can be stored without change.
  func holds(_ grid: Grid) -> Bool
  /// Whether readers of this packing compute with weights on this grid and inputs that are rounded like this. Where inputs
  /// are not rounded, this is `holds(grid)`.
  func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool
  /// The scheme on the grid that this packing stores where `scheme` is asked for. Containers that keep scales in a type of
  /// their own change the scheme's; its name stays.
  func stored(_ scheme: any Scheme) -> any Scheme
  /// Why a matrix of this shape on a grid that the packing holds cannot be stored, or nil where it can:
  /// `rows are no multiple of 8`.
  func obstacle(shape: [Int], scheme: any Scheme) -> String?
  /// Whether this tensor is a stack of matrices that readers unpack from this packing. Its codes are `[experts, out, in]` where the
  /// floats of the same model are `[experts, in, out]`. Other packings of the container hold no such tensor.
  /// - Parameter configuration: of the model.
  func holdsStack(_ name: String, configuration: Configuration?) -> Bool
  /// Whether codes go along the rows of the container's tensor even where these are the inputs of the model's matrix, not its outputs.
  /// Readers of other packings take a quantized matrix the other way round, or do not know it.
  var holdsTransposed: Bool { get }
  /// What a person should know before matrices on this grid are stored (versions of programs that cannot read them), or nil.
  func caution(_ scheme: any Scheme) -> String?
  /// The stored tensors of a logical matrix `[rows, columns]`, in the order in which `pack` returns their bytes.
  /// - Parameter name: the logical tensor's name; a packing appends its own suffixes.
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart]
  /// Where the stored parameters of a layer's rounded input go: one scale, and a zero point where the scheme is asymmetric.
  /// Empty where readers know none. Asked for static schemes only.
  /// - Parameters:
  ///   - name: the name of the layer's weight.
  ///   - modelType: the type that the model computes in.
  func inputParts(name: String, activations: ActivationScheme, modelType: ElementType) -> [(part: StoredPart, value: CalibratedValue.Part)]
  /// Where the scales of rounded keys and values go, or nil where readers know none.
  /// - Parameter attention: name of the attention module.
  func cacheParts(attention: String, scheme: ActivationScheme, modelType: ElementType) -> (keys: StoredPart, values: StoredPart)?
  /// Rows that `pack` must be given at a time: a multiple of this and of the scheme's tile rows (the last call may have fewer).
  var rowMultiple: Int { get }
  /// Bytes of some rows, one array per part, in the order that `StoredPart.order` says. A part that does not depend on rows
  /// (a stored shape, the scale of a tensor) is returned with the first rows only.
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]]
  /// A direct way from floats to the bytes of the only part, equal to `encode` + `pack`, or nil where there is none.
  func fused(scheme: any Scheme) -> FusedEncoder?
  /// What `configuration` describes; packings with the same answer can be mixed in one folder. Nothing else can be.
  var configurationKind: String { get }
  /// The checkpoint-wide configuration that readers of this packing need (`quantization_config`), or nil.
  /// - Parameters:
  ///   - modules: the linear layers that packings of this `configurationKind` hold.
  ///   - unquantized: names of linear modules that were left alone.
  func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON?
  /// A configuration of this packing that says, too, how keys and values are rounded in a cache.
  func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON
  /// Files beside the configuration in which readers of this packing look for what it says.
  func files(configuration: JSON) -> [(name: String, json: JSON)]
  /// The logical tensors of a folder that was written with this packing, or nil where `configuration` is another's.
  /// - Parameters:
  ///   - configuration: what the folder says of its quantization; null where it says nothing.
  ///   - stored: all stored tensors, in file order.
  /// - Throws: `Failure` where parts are missing or of the wrong shape.
  func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]?
  /// The same, for a packing that some of its description lies in the metadata of the files for.
  /// - Parameter metadata: those of all files.
  func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]?
  /// How the folder's inputs, keys and values are rounded. Asked of the packing that unpacked it.
  /// - Throws: `Failure` where a stored scale is missing or no number.
  func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord
  /// Whether readers take a linear layer for a quantized one by the configuration alone; nil: they go by its tensors.
  /// - Parameter module: name of its weight, without `.weight`.
  func expectsQuantized(_ module: String, configuration: JSON) -> Bool?
  /// What is wrong in a folder that `unpack` accepted: what readers would take silently for something else.
  func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding]
}

extension Packing {
  public static var formats: [String] { ["huggingface"] }
  public static func isKnown(toReadersOf format: String) -> Bool { formats.contains(format) }
  public func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool { activations == nil && holds(grid) }
  public func inputParts(
    name: String, activations: ActivationScheme, modelType: ElementType
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] { [] }
  public func cacheParts(
    attention: String, scheme: ActivationScheme, modelType: ElementType
  ) -> (keys: StoredPart, values: StoredPart)? { nil }
  public func stored(_ scheme: any Scheme) -> any Scheme { scheme }
  public func files(configuration: JSON) -> [(name: String, json: JSON)] { [] }
  public func obstacle(shape: [Int], scheme: any Scheme) -> String? { nil }
  public func holdsStack(_ name: String, configuration: Configuration?) -> Bool { false }
  public var holdsTransposed: Bool { false }
  public func caution(_ scheme: any Scheme) -> String? { nil }
  public var configurationKind: String { Self.id }
  public var rowMultiple: Int { 1 }
  public func fused(scheme: any Scheme) -> FusedEncoder? { nil }
  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? { nil }
  public func configuration(_ configuration: JSON, addingCache scheme: ActivationScheme) -> JSON { configuration }
  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? { nil }
  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    try unpack(configuration: configuration, stored: stored)
  }
  public func activations(configuration: JSON, stored: [CheckpointTensor]) throws -> ActivationRecord { ActivationRecord() }
  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? { nil }
  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] { [] }
}

/// Encodes `rows` rows of `columns` floats into `destination`, which has room for exactly their packed bytes.
/// `importance` has one weight per column, or is nil.
public typealias FusedEncoder =
  @Sendable (
    _ source: UnsafePointer<Float>, _ rows: Int, _ columns: Int, _ importance: UnsafePointer<Float>?,
    _ destination: UnsafeMutableRawPointer
  ) -> Void

extension Packing { public static var axis: PluginAxis { .packing } }
