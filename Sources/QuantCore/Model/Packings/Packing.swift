/// Which bytes hold the codes and parameters of a scheme.
///
/// A packing turns quantized rows into the tensors of a format, and says exactly which grids it holds. It does not deal with files: a
/// format asks for the stored tensors and places them.
///
/// Implement `formats`, `holds`, `parts` and `pack`. In addition, a packing of folders is a `FolderPacking`, one that describes rounded
/// inputs or caches is an `ActivationPacking`, and one for stacks of experts is a `StackPacking`. A packing that can also be read is an
/// `Unpacker`, too.
///
/// The host calls `holds` before everything else, with the grid of the scheme that `stored` returns, and then `obstacle`. It calls
/// `pack` with whole tiles, from several threads, once for every row. The bytes returned for a part must add up to its `byteCount`.
public protocol Packing: PackingPlugin {
  /// Ids of the formats that can use it; if empty, all formats whose configuration names the packing. If several packings hold a grid,
  /// the one that is registered first is used.
  static var formats: [String] { get }
  /// Whether clients of a format know it: true for `formats`; a packing that every client knows returns true for all.
  static func isKnown(toReadersOf format: String) -> Bool

  // MARK: What it holds

  /// Whether every code and parameter of this grid can be stored without change.
  func holds(_ grid: Grid) -> Bool
  /// The scheme that this packing stores if `scheme` is asked for. A packing that stores scales in another type changes the type of the
  /// scheme's scales and keeps its name.
  func stored(_ scheme: any Scheme) -> any Scheme
  /// Why a matrix of this shape on a grid that the packing holds cannot be stored, or nil if it can:
  /// `rows are not a multiple of 8`.
  func obstacle(shape: [Int], scheme: any Scheme) -> String?
  /// Whether it can hold a quantized matrix that the format stores transposed, so that stored rows are inputs of the model's matrix, not
  /// outputs. Clients of other packings expect quantized matrices that are not transposed, or cannot load them.
  var holdsTransposed: Bool { get }
  /// Whether clients also unpack the embedding and the output matrix, so that a scheme for the whole model applies to them, too.
  var holdsOuterMatrices: Bool { get }
  /// The scheme that is used if this packing is asked for and no scheme is; nil: that of the format.
  static var defaultScheme: String? { get }
  /// Whether codes of another packing or format are repacked into this one only if it, its client or a scheme of its own is asked for.
  static var mustBeAskedFor: Bool { get }
  /// Whether it stores nothing unless it is asked for by name.
  static var isOnlyByName: Bool { get }
  /// A warning to show before matrices on this grid are stored (for example, versions of clients that cannot read them), or nil.
  func caution(_ scheme: any Scheme) -> String?

  // MARK: Storing

  /// The stored tensors of a logical matrix `[rows, columns]`, in the order in which `pack` returns their bytes.
  /// - Parameter name: the logical tensor's name; a packing appends its own suffixes.
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart]
  /// The number of rows that `pack` is given at a time is a multiple of this and of the scheme's tile rows (except in the last call).
  var rowMultiple: Int { get }
  /// Bytes of some rows, one array per part, in the order that `StoredPart.order` says. A part that does not depend on rows
  /// (a stored shape, the scale of a tensor) is returned with the first rows only.
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]]
  /// An encoder that writes the bytes of the only part directly from floats, with the same result as `encode` and `pack`, or nil if
  /// there is none.
  func fused(scheme: any Scheme) -> FusedEncoder?
}

extension Packing {
  public static func isKnown(toReadersOf format: String) -> Bool { formats.contains(format) }
  public func stored(_ scheme: any Scheme) -> any Scheme { scheme }
  public func obstacle(shape: [Int], scheme: any Scheme) -> String? { nil }
  public var holdsTransposed: Bool { false }
  public var holdsOuterMatrices: Bool { false }
  public static var defaultScheme: String? { nil }
  public static var mustBeAskedFor: Bool { false }
  public static var isOnlyByName: Bool { false }
  public func caution(_ scheme: any Scheme) -> String? { nil }
  public var rowMultiple: Int { 1 }
  public func fused(scheme: any Scheme) -> FusedEncoder? { nil }
}

/// Encodes `rows` rows of `columns` floats into `destination`, which has room for exactly their packed bytes.
/// `importance` has one value per column, or is nil.
public typealias FusedEncoder =
  @Sendable (
    _ source: UnsafePointer<Float>, _ rows: Int, _ columns: Int, _ importance: UnsafePointer<Float>?,
    _ destination: UnsafeMutableRawPointer
  ) -> Void
